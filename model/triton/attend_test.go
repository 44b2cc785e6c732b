package triton_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"scored/model/triton"
	"scored/model/triton/tritontest"
)

// step is a block's attention: what the kernels get.
type step struct {
	triton.Shape
	visible, start []int32
	qkv, prefix    *tritontest.Array
	keys, queries  *tritontest.Array // weights
	angles         *tritontest.Array
}

func shapes() map[string]triton.Shape {
	return map[string]triton.Shape{
		"two heads a group":      {Tokens: 256, Prefix: 192, Heads: 4, KVHeads: 2, HeadDim: 128, Norm: true, Eps: 1e-6, Shared: 99 << 10},
		"no prefix, no norm":     {Tokens: 320, Heads: 2, KVHeads: 2, HeadDim: 128, Shared: 99 << 10},
		"six heads, long prefix": {Tokens: 64, Prefix: 1024, Heads: 6, KVHeads: 1, HeadDim: 64, Norm: true, Eps: 1e-6, Shared: 99 << 10},
		"eight heads":            {Tokens: 192, Prefix: 128, Heads: 8, KVHeads: 1, HeadDim: 64, Shared: 99 << 10},
		"seven heads":            {Tokens: 128, Prefix: 64, Heads: 14, KVHeads: 2, HeadDim: 64, Norm: true, Eps: 1e-6, Shared: 99 << 10},
	}
}

// newStep has new tokens of the prefix first, then rows of many lengths, then padding.
func newStep(shape triton.Shape, random *rand.Rand) *step {
	s := &step{Shape: shape, visible: make([]int32, shape.Tokens), start: make([]int32, shape.Tokens)}
	at := 0
	for range min(40, shape.Prefix/2) {
		s.visible[at], s.start[at] = int32(shape.Prefix/4+at+1), int32(at+1)
		at++
	}
	for _, length := range []int{1, 30, 7, 90, 2, 150, 61} {
		shared := 0
		if shape.Prefix > 0 {
			shared = random.IntN(shape.Prefix + 1)
		}
		for first := at; at < min(first+length, shape.Tokens-5); at++ {
			s.visible[at], s.start[at] = int32(shared), int32(first)
		}
	}
	for ; at < shape.Tokens; at++ {
		s.start[at] = int32(at)
	}
	fill := func(element string, scale float64, dims ...int) *tritontest.Array {
		a := tritontest.New(element, dims...)
		for i := range a.Data {
			a.Data[i] = tritontest.BFloat16(scale * random.NormFloat64())
		}
		return a
	}
	e := shape.HeadDim
	s.qkv = fill("bf16", 1, shape.Tokens, (shape.Heads+2*shape.KVHeads)*e)
	s.prefix = fill("bf16", 1, shape.Prefix, shape.KVHeads*2*e)
	s.keys, s.queries = fill("f32", 1, 1, e), fill("f32", 1/math.Sqrt(float64(e)), 1, e)
	s.angles = fill("f32", 1, shape.Tokens, 2*e)
	return s
}

// run gives the attention of the kernels' texts, [T, H·E].
func (s *step) run(t *testing.T) *tritontest.Array {
	t.Helper()
	spans, sight := tritontest.New("i32", 2*s.Tokens/s.Block()), tritontest.New("i32", 2, s.Tokens)
	for i, n := range s.Spans(s.visible, s.start) {
		spans.Data[i] = float64(n)
	}
	for i := range s.visible {
		sight.Data[i], sight.Data[s.Tokens+i] = float64(s.visible[i]), float64(s.start[i])
	}
	mixed, err := tritontest.Attend(s.Shape, tritontest.Operands{QKV: s.qkv, KeyWeight: s.keys, QueryWeight: s.queries, Angles: s.angles,
		Spans: spans, Sight: sight, Prefix: s.prefix})
	if err != nil {
		t.Fatal(err)
	}
	return mixed
}

// turned is a head's vector of one token, normed and turned, from its definition; bfloat16, as it enters products.
func (s *step) turned(token, head int, weight *tritontest.Array) []float64 {
	e := s.HeadDim
	x := s.qkv.Data[token*s.qkv.Dims[1]+head*e:][:e]
	scale := 1.0
	if s.Norm {
		square := 0.0
		for _, v := range x {
			square += v * v
		}
		scale = 1 / math.Sqrt(square/float64(e)+s.Eps)
	}
	normed, out := make([]float64, e), make([]float64, e)
	for i, v := range x {
		normed[i] = v * scale * weight.Data[i]
	}
	angles := s.angles.Data[token*2*e:][:2*e]
	for i := range out {
		out[i] = tritontest.BFloat16(normed[i]*angles[i] + normed[(i+e/2)%e]*angles[e+i])
	}
	return out
}

// want is the attention of one token and head: softmax over everything it sees.
func (s *step) want(token, head int) []float64 {
	e, g := s.HeadDim, head/(s.Heads/s.KVHeads)
	query := s.turned(token, head, s.queries)
	var keys, values [][]float64
	for p := range int(s.visible[token]) {
		row := s.prefix.Data[p*s.prefix.Dims[1]+g*2*e:]
		keys, values = append(keys, row[:e]), append(values, row[e:2*e])
	}
	for own := int(s.start[token]); own <= token; own++ {
		keys = append(keys, s.turned(own, s.Heads+g, s.keys))
		values = append(values, s.qkv.Data[own*s.qkv.Dims[1]+(s.Heads+s.KVHeads+g)*e:][:e])
	}
	scores, top, sum := make([]float64, len(keys)), math.Inf(-1), 0.0
	for i, k := range keys {
		for d := range k {
			scores[i] += math.Ln2 * query[d] * k[d]
		}
		top = max(top, scores[i])
	}
	mixed := make([]float64, e)
	for i, score := range scores {
		weight := math.Exp(score - top)
		sum += weight
		for d := range mixed {
			mixed[d] += weight * values[i][d]
		}
	}
	for d := range mixed {
		mixed[d] /= sum
	}
	return mixed
}

// TestKernelsAttend: the text that a TPU gets computes attention, to the precision of bfloat16.
func TestKernelsAttend(t *testing.T) {
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := shape.Check(); err != nil {
				t.Fatal(err)
			}
			s := newStep(shape, rand.New(rand.NewPCG(1, 2)))
			got, worst, sum, n := s.run(t), 0.0, 0.0, 0.0
			for token := range s.Tokens {
				for head := range s.Heads {
					want, e := s.want(token, head), s.HeadDim
					for d, x := range got.Data[token*got.Dims[1]+head*e:][:e] {
						off := math.Abs(x - want[d])
						if math.IsNaN(off) {
							t.Fatalf("token %d, head %d, number %d is %v, want %v", token, head, d, x, want[d])
						}
						worst, sum, n = max(worst, off), sum+off, n+1
					}
				}
			}
			t.Logf("off by up to %.4f, %.5f on average", worst, sum/n)
			if worst > 0.04 || sum/n > 0.001 {
				t.Errorf("numbers are off by up to %.4f, %.5f on average; want 0.04 and 0.001", worst, sum/n)
			}
		})
	}
}

// TestOverflowStaysWithWhoSeesIt: a value that is not finite reaches the tokens that see it, and no other.
func TestOverflowStaysWithWhoSeesIt(t *testing.T) {
	for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			t.Parallel()
			s := newStep(triton.Shape{Tokens: 128, Prefix: 128, Heads: 2, KVHeads: 1, HeadDim: 64, Norm: true, Eps: 1e-6, Shared: 99 << 10}, rand.New(rand.NewPCG(3, 4)))
			const broken = 70
			s.qkv.Data[broken*s.qkv.Dims[1]+3*s.HeadDim+5] = bad // a number of its values
			got := s.run(t)
			for token := range s.Tokens {
				sees := s.start[token] <= broken && broken <= token
				for head := range s.Heads {
					if is := math.IsNaN(got.Data[token*got.Dims[1]+head*s.HeadDim]); is != sees {
						t.Errorf("token %d, head %d: NaN %v, sees it %v", token, head, is, sees)
					}
				}
			}
		})
	}
}

func TestShapesWithoutKernels(t *testing.T) {
	for want, shape := range map[string]triton.Shape{
		"heads have 96 numbers, kernels are for 64 or 128":                                      {Tokens: 128, Heads: 2, KVHeads: 1, HeadDim: 96, Shared: 99 << 10},
		"step shape has 32 tokens and 0 prefix keys, kernels take multiples of 64":              {Tokens: 32, Heads: 2, KVHeads: 1, HeadDim: 128},
		"step shape has 128 tokens and 8 prefix keys, kernels take multiples of 64":             {Tokens: 128, Prefix: 8, Heads: 2, KVHeads: 1, HeadDim: 128},
		"5 query heads do not share 2 key-value heads evenly":                                   {Tokens: 128, Heads: 5, KVHeads: 2, HeadDim: 128},
		"step shape of 256 tokens and 2097152 prefix keys has arrays of more than 2^31 numbers": {Tokens: 256, Prefix: 1 << 21, Heads: 8, KVHeads: 4, HeadDim: 128},
		"kernels take 53248 bytes of shared memory, the card has 49152":                         {Tokens: 256, Heads: 8, KVHeads: 4, HeadDim: 128, Shared: 48 << 10},
	} {
		if err := shape.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", shape, err, want)
		}
	}
}

// TestSharedMemory: no kernel asks for more shared memory than a card has, as XLA's compiler may crash then, and a card
// that has more gets more blocks of keys under way.
func TestSharedMemory(t *testing.T) {
	for _, shared := range []int{99 << 10, 163 << 10, 227 << 10} {
		for _, e := range []int{64, 128} {
			s := triton.Shape{Tokens: 2048, Prefix: 40960, Heads: 16, KVHeads: 8, HeadDim: e, Shared: shared}
			if k := triton.Attend(s); s.Check() != nil || k.Shared > shared || k.Stages < 2 {
				t.Errorf("heads of %d on a card of %d bytes: %d stages with %d bytes, %v", e, shared, k.Stages, k.Shared, s.Check())
			}
		}
	}
	small, large := triton.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128, Shared: 99 << 10}, triton.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128, Shared: 227 << 10}
	if a, b := triton.Attend(small).Stages, triton.Attend(large).Stages; a >= b {
		t.Errorf("%d stages on a small card, %d on a large one", a, b)
	}
}

// TestSpans: a block of tokens needs as many blocks of prefix keys as the one of its tokens that sees most, and the step's
// own keys from the block on in which the first that one of them sees stands.
func TestSpans(t *testing.T) {
	s := triton.Shape{Tokens: 128, Prefix: 1024, Heads: 2, KVHeads: 1, HeadDim: 128, Shared: 99 << 10} // blocks of 32 tokens and of 64 keys
	visible, start := make([]int32, 128), make([]int32, 128)
	for i := range start {
		start[i] = int32(i)
	}
	visible[3], visible[40], visible[100] = 1, 512, 513
	start[100] = 63
	if got, want := s.Spans(visible, start), []int32{1, 8, 0, 9, 0, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("spans are %v, want %v", got, want)
	}
	start[100], visible[100], start[127] = 64, 0, 128
	if got, want := s.Spans(visible, start), []int32{1, 8, 0, 0, 0, 0, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("spans are %v, want %v", got, want)
	}
}

// TestSightIsExact: a token sees all keys that it shall and none beside them. Each key has a value of its own.
func TestSightIsExact(t *testing.T) {
	s := newStep(triton.Shape{Tokens: 128, Prefix: 128, Heads: 2, KVHeads: 1, HeadDim: 64, Shared: 99 << 10}, rand.New(rand.NewPCG(5, 6)))
	for i := range s.qkv.Data { // all scores are 0, so a token gets the mean of the values it sees
		if i%s.qkv.Dims[1] < 2*s.HeadDim {
			s.qkv.Data[i] = 0
		}
	}
	got := s.run(t)
	for token := range s.Tokens {
		for d, want := range s.want(token, 1) {
			if x := got.Data[token*got.Dims[1]+s.HeadDim+d]; math.Abs(x-want) > 0.004*max(1, math.Abs(want)) {
				t.Fatalf("token %d, number %d is %v, want %v", token, d, x, want)
			}
		}
	}
}

// TestInterpreterRefuses: what the tests of kernels rest on tells a wrong text from a right one.
func TestInterpreterRefuses(t *testing.T) {
	s := triton.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 64, Shared: 99 << 10}
	right := triton.Keys(s)
	arrays := func() []*tritontest.Array {
		qkv := tritontest.New("bf16", 64, 4*64)
		return []*tritontest.Array{qkv, qkv, tritontest.New("f32", 1, 64), tritontest.New("f32", 64, 128), tritontest.New("bf16", 64, 128)}
	}
	if err := tritontest.Run(right.Body, right.Grid, arrays()...); err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		if !strings.Contains(right.Body, old) {
			t.Errorf("text has no %s", old)
		}
		return strings.Replace(right.Body, old, new, 1)
	}
	for want, body := range map[string]string{
		"is not known":           edit("arith.extf", "arith.sitofp"),
		"is not defined":         edit("%2 = tt.get_program_id y", "%other = tt.get_program_id y"),
		"its type is":            edit("{axis = 1 : i32} : tensor<32xi32> -> tensor<32x1xi32>", "{axis = 1 : i32} : tensor<32xi32> -> tensor<32x1xf32>"),
		"pointer to element":     edit("arith.constant 32 : i32", "arith.constant 64 : i32"),
		"is stored 0 times":      edit("tt.store", "tt.return\ntt.store"),
		"another length":         edit("{end = 64 : i32", "{end = 63 : i32"),
		"text ends too early":    strings.TrimSuffix(right.Body, "  }\n}\n"),
		"goes on after the func": right.Body + "}",
	} {
		if err := tritontest.Run(body, right.Grid, arrays()...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
