package kerneltest

import (
	"math"
	"math/rand/v2"
	"testing"

	"scored/model/kernel"
)

// Operands are the arrays that a layer's kernels get: see package kernel.
type Operands struct {
	QKV, KeyWeight, QueryWeight, Angles *Array
	Spans, Ranges                       *Array
	Context                             *Array // nil without a context
}

// Kernels are the kernels under test, for one shape.
type Kernels interface {
	// Check returns an error if there are no kernels for the shape.
	Check() error
	Blocks() kernel.Blocks
	// Attend runs the text of both kernels, one after the other. It returns the
	// attention output [T, H·E].
	Attend(in Operands) (*Array, error)
}

// Step has the operands of a layer's attention, and computes the same by definition.
// Token t attends to the context's keys From[t] … To[t]-1, and to the step's tokens
// Start[t] … t.
type Step struct {
	kernel.Shape
	Operands
	From, To, Start []int32
	kernels         Kernels
}

// padding is how many tokens at a step's end belong to no row.
const padding = 5

// NewStep makes a step of random numbers, the same for the same seed. If there is a
// context, the first tokens end two new prefixes, one token after the other. Then come
// rows of many lengths, and padding. Rows attend to random ranges of the context: most
// of them begin and end inside a block of keys, some are the whole context, and some
// are empty.
func NewStep(shape kernel.Shape, kernels Kernels, seed uint64) *Step {
	random := rand.New(rand.NewPCG(seed, 2))
	s := &Step{Shape: shape, kernels: kernels}
	s.addTokens(random)
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

// addTokens decides what each token attends to.
func (s *Step) addTokens(random *rand.Rand) {
	context := s.Shape.Context
	add := func(from, to, start int) {
		s.From, s.To = append(s.From, int32(from)), append(s.To, int32(to))
		s.Start = append(s.Start, int32(start))
	}
	if context > 0 {
		for i, first := range []int{context / 4, context / 8 * 5} {
			for n := range 20 {
				add(first-i*30, first+n+1, len(s.From)+1) // its own key is in the context
			}
		}
	}
	for row := 0; len(s.From) < s.Tokens-padding; row++ {
		from, to := 0, 0
		switch {
		case context == 0 || row%4 == 3:
		case row%4 == 2:
			to = context
		default:
			from = random.IntN(context)
			to = from + 1 + random.IntN(context-from)
		}
		length := []int{1, 30, 7, 90, 2, 150, 61}[row%7]
		for start, n := len(s.From), min(length, s.Tokens-padding-len(s.From)); n > 0; n-- {
			add(from, to, start)
		}
	}
	for len(s.From) < s.Tokens {
		add(context, context, len(s.From))
	}
}

// keys returns the keys of the context and of the step that a token attends to.
func (s *Step) keys(token int) (context, own []int) {
	for key := s.From[token]; key < s.To[token]; key++ {
		context = append(context, int(key))
	}
	for key := int(s.Start[token]); key <= token; key++ {
		own = append(own, key)
	}
	return context, own
}

// Run returns the attention that the kernels' text computes, [T, H·E].
func (s *Step) Run(t *testing.T) *Array {
	t.Helper()
	s.Spans = numbers(s.kernels.Blocks().Spans(s.From, s.To, s.Start))
	s.Spans.Dims = []int{len(s.Spans.Data)}
	s.Ranges = numbers(s.From, s.To, s.Start)
	output, err := s.kernels.Attend(s.Operands)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// numbers returns rows of integers as an array.
func numbers(rows ...[]int32) *Array {
	a := New("i32", len(rows), len(rows[0]))
	for r, row := range rows {
		for i, n := range row {
			a.Data[r*len(row)+i] = float64(n)
		}
	}
	return a
}

// rotated returns a head's vector of one token after RMSNorm and RoPE, by definition,
// and rounded to bfloat16, as products take it.
func (s *Step) rotated(token, head int, weight *Array) []float64 {
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

// contextKey returns a head's key of the context, and its value. Both are parts of the
// operand, which a case may change through them.
func (s *Step) contextKey(key, head int) (k, v []float64) {
	e := s.HeadDim
	context := s.Operands.Context
	row := context.Data[key*context.Dims[1]+head*2*e:]
	return row[:e], row[e : 2*e]
}

// value returns a head's value of one of the step's tokens, as a part of QKV.
func (s *Step) value(token, head int) []float64 {
	return s.QKV.Data[token*s.QKV.Dims[1]+(s.Heads+s.KVHeads+head)*s.HeadDim:][:s.HeadDim]
}

// want returns the attention output of one token and head by definition: softmax over
// all keys that the token attends to, in float64.
func (s *Step) want(token, head int) []float64 {
	e, g := s.HeadDim, head/(s.Heads/s.KVHeads)
	query := s.rotated(token, head, s.QueryWeight)
	var keys, values [][]float64
	context, own := s.keys(token)
	for _, key := range context {
		k, v := s.contextKey(key, g)
		keys, values = append(keys, k), append(values, v)
	}
	for _, key := range own {
		keys = append(keys, s.rotated(key, s.Heads+g, s.KeyWeight))
		values = append(values, s.value(key, g))
	}
	scores, top, sum := make([]float64, len(keys)), math.Inf(-1), 0.0
	for i, k := range keys {
		for d := range k {
			scores[i] += math.Ln2 * query[d] * k[d] // the queries' weight includes log2(e)
		}
		top = max(top, scores[i])
	}
	output := make([]float64, e)
	for i, score := range scores {
		weight := math.Exp(score - top)
		sum += weight
		for d := range output {
			output[d] += weight * values[i][d]
		}
	}
	for d := range output {
		output[d] /= sum
	}
	return output
}
