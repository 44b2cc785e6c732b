package kerneltest

import (
	"math"
	"math/rand/v2"
	"testing"

	"scored/model/kernel"
)

// Operands are what a layer's kernels get: see package kernel.
type Operands struct {
	QKV, KeyWeight, QueryWeight, Angles *Array
	Spans, Sight                        *Array
	Context                             *Array // nil without one
}

// Kernels are what is tested, for a shape.
type Kernels interface {
	Check() error
	Blocks() kernel.Blocks
	// Attend runs the text of both kernels, one after the other: the mixed values [T, H·E].
	Attend(in Operands) (*Array, error)
}

// Step is a layer's attention. Token t sees the context's keys From[t] … To[t]-1, and the step's tokens Start[t] … t.
type Step struct {
	kernel.Shape
	Operands
	From, To, Start []int32
	kernels         Kernels
}

// NewStep has rows of many lengths, and then padding. Rows see ranges of the context by random: most begin and end inside a
// block of keys, some are the whole context, some are empty, and the first ones end new prefixes, one token after the other.
func NewStep(shape kernel.Shape, kernels Kernels, seed uint64) *Step {
	random := rand.New(rand.NewPCG(seed, 2))
	s := &Step{Shape: shape, kernels: kernels}
	add := func(from, to, start int) {
		s.From, s.To, s.Start = append(s.From, int32(from)), append(s.To, int32(to)), append(s.Start, int32(start))
	}
	if shape.Context > 0 {
		for i, first := range []int{shape.Context / 4, shape.Context / 8 * 5} {
			for n := range 20 {
				add(first-i*30, first+n+1, len(s.From)+1) // it sees itself in the context
			}
		}
	}
	for row := 0; len(s.From) < shape.Tokens-5; row++ {
		from, to := 0, 0
		switch {
		case shape.Context == 0 || row%4 == 3:
		case row%4 == 2:
			to = shape.Context
		default:
			from = random.IntN(shape.Context)
			to = from + 1 + random.IntN(shape.Context-from)
		}
		length := []int{1, 30, 7, 90, 2, 150, 61}[row%7]
		for start, n := len(s.From), min(length, shape.Tokens-5-len(s.From)); n > 0; n-- {
			add(from, to, start)
		}
	}
	for len(s.From) < shape.Tokens {
		add(shape.Context, shape.Context, len(s.From))
	}
	fill := func(element string, scale float64, dims ...int) *Array {
		a := New(element, dims...)
		for i := range a.Data {
			a.Data[i] = BFloat16(scale * random.NormFloat64())
		}
		return a
	}
	e := shape.HeadDim
	s.QKV = fill("bf16", 1, shape.Tokens, (shape.Heads+2*shape.KVHeads)*e)
	if shape.Context > 0 {
		s.Operands.Context = fill("bf16", 1, shape.Context, shape.KVHeads*2*e)
	}
	s.KeyWeight, s.QueryWeight = fill("f32", 1, 1, e), fill("f32", 1/math.Sqrt(float64(e)), 1, e)
	s.Angles = fill("f32", 1, shape.Tokens, 2*e)
	return s
}

// keys are those of the context, and of the step's tokens, that a token sees.
func (s *Step) keys(token int) (context, own []int) {
	for key := s.From[token]; key < s.To[token]; key++ {
		context = append(context, int(key))
	}
	for key := int(s.Start[token]); key <= token; key++ {
		own = append(own, key)
	}
	return context, own
}

// Run gives the attention of the kernels' text, [T, H·E].
func (s *Step) Run(t *testing.T) *Array {
	t.Helper()
	s.Spans, s.Sight = numbers(s.kernels.Blocks().Spans(s.From, s.To, s.Start)), numbers(s.From, s.To, s.Start)
	s.Spans.Dims = []int{len(s.Spans.Data)}
	mixed, err := s.kernels.Attend(s.Operands)
	if err != nil {
		t.Fatal(err)
	}
	return mixed
}

func numbers(rows ...[]int32) *Array {
	a := New("i32", len(rows), len(rows[0]))
	for r, row := range rows {
		for i, n := range row {
			a.Data[r*len(row)+i] = float64(n)
		}
	}
	return a
}

// turned is a head's vector of one token, normed and turned, from its definition; bfloat16, as it enters products.
func (s *Step) turned(token, head int, weight *Array) []float64 {
	e := s.HeadDim
	x := s.QKV.Data[token*s.QKV.Dims[1]+head*e:][:e]
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
	angles := s.Angles.Data[token*2*e:][:2*e]
	for i := range out {
		out[i] = BFloat16(normed[i]*angles[i] + normed[(i+e/2)%e]*angles[e+i])
	}
	return out
}

// contextKey is a head's key of the context, and its value.
func (s *Step) contextKey(key, head int) (k, v []float64) {
	e := s.HeadDim
	context := s.Operands.Context
	row := context.Data[key*context.Dims[1]+head*2*e:]
	return row[:e], row[e : 2*e]
}

// value is a head's value of one of the step's tokens.
func (s *Step) value(token, head int) []float64 {
	return s.QKV.Data[token*s.QKV.Dims[1]+(s.Heads+s.KVHeads+head)*s.HeadDim:][:s.HeadDim]
}

// want is the attention of one token and head: softmax over everything it sees.
func (s *Step) want(token, head int) []float64 {
	e, g := s.HeadDim, head/(s.Heads/s.KVHeads)
	query := s.turned(token, head, s.QueryWeight)
	var keys, values [][]float64
	context, own := s.keys(token)
	for _, key := range context {
		k, v := s.contextKey(key, g)
		keys, values = append(keys, k), append(values, v)
	}
	for _, key := range own {
		keys, values = append(keys, s.turned(key, s.Heads+g, s.KeyWeight)), append(values, s.value(key, g))
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
