package mosaic_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"scored/model/mosaic"
	"scored/model/mosaic/mosaictest"
)

// step is a block's attention: what the kernels get.
type step struct {
	mosaic.Shape
	visible, start []int32
	qkv, prefix    *mosaictest.Array
	keys, queries  *mosaictest.Array // weights
	angles         *mosaictest.Array
}

func shapes() map[string]mosaic.Shape {
	return map[string]mosaic.Shape{
		"two heads a group":     {Tokens: 512, Prefix: 256, Heads: 4, KVHeads: 2, HeadDim: 128, Norm: true, Eps: 1e-6},
		"no prefix, no norm":    {Tokens: 512, Heads: 2, KVHeads: 2, HeadDim: 128},
		"six heads, small step": {Tokens: 128, Prefix: 1024, Heads: 6, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6},
		"blocks of 128":         {Tokens: 384, Prefix: 128, Heads: 2, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6},
	}
}

// newStep has new tokens of the prefix first, then rows of many lengths, then padding.
func newStep(shape mosaic.Shape, random *rand.Rand) *step {
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
	fill := func(element string, scale float64, dims ...int) *mosaictest.Array {
		a := mosaictest.New(element, dims...)
		for i := range a.Data {
			a.Data[i] = mosaictest.BFloat16(scale * random.NormFloat64())
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
func (s *step) run(t *testing.T) *mosaictest.Array {
	t.Helper()
	spans, sight := mosaictest.New("i32", 2*s.Tokens/s.Block()), mosaictest.New("i32", 2, s.Tokens)
	for i, n := range s.Spans(s.visible, s.start) {
		spans.Data[i] = float64(n)
	}
	for i := range s.visible {
		sight.Data[i], sight.Data[s.Tokens+i] = float64(s.visible[i]), float64(s.start[i])
	}
	mixed, err := mosaictest.Attend(s.Shape, mosaictest.Operands{QKV: s.qkv, KeyWeight: s.keys, QueryWeight: s.queries, Angles: s.angles,
		Spans: spans, Sight: sight, Prefix: s.prefix})
	if err != nil {
		t.Fatal(err)
	}
	return mixed
}

// turned is a head's vector of one token, normed and turned, from its definition; bfloat16, as it enters products.
func (s *step) turned(token, head int, weight *mosaictest.Array) []float64 {
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
		out[i] = mosaictest.BFloat16(normed[i]*angles[i] + normed[(i+e/2)%e]*angles[e+i])
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
			s := newStep(mosaic.Shape{Tokens: 256, Prefix: 128, Heads: 2, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6}, rand.New(rand.NewPCG(3, 4)))
			const broken = 100
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
	for want, shape := range map[string]mosaic.Shape{
		"heads have 64 numbers, kernels are for 128":                                 {Tokens: 128, Heads: 2, KVHeads: 1, HeadDim: 64},
		"step shape has 64 tokens and 0 prefix keys, kernels take multiples of 128":  {Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128},
		"step shape has 128 tokens and 8 prefix keys, kernels take multiples of 128": {Tokens: 128, Prefix: 8, Heads: 2, KVHeads: 1, HeadDim: 128},
		"5 query heads do not share 2 key-value heads evenly":                        {Tokens: 128, Heads: 5, KVHeads: 2, HeadDim: 128},
		"step shape of 256 tokens and 131072 prefix keys does not fit fast memory":   {Tokens: 256, Prefix: 131072, Heads: 2, KVHeads: 1, HeadDim: 128},
	} {
		if err := shape.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", shape, err, want)
		}
	}
}

// TestSpans: a block of tokens needs as many blocks of prefix keys as the one of its tokens that sees most, and its own
// tokens from the block on in which the first that one of them sees stands.
func TestSpans(t *testing.T) {
	s := mosaic.Shape{Tokens: 512, Prefix: 1024, Heads: 2, KVHeads: 1, HeadDim: 128}
	visible, start := make([]int32, 512), make([]int32, 512)
	for i := range start {
		start[i] = int32(i)
	}
	visible[3], visible[200], visible[300] = 1, 512, 513
	start[300] = 255
	if got, want := s.Spans(visible, start), []int32{1, 2, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("spans are %v, want %v", got, want)
	}
	start[300], visible[300] = 256, 0
	if got, want := s.Spans(visible, start), []int32{1, 0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("spans are %v, want %v", got, want)
	}
}
