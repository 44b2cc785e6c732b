package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
	"github.com/gomlx/gomlx/core/tensors"
)

// packed computes attention by kernels, for a TPU or an NVIDIA GPU. The graph has each
// kernel's formula, which any backend can run, between two marks. A Splicer replaces
// the formula in the program's text by a call of the kernel, since GoMLX has no custom
// calls. With Options.Formula there are no marks, and the formula runs.
//
// Kernels take packed tokens as they are. So a step may hold any rows for whose tokens
// it has room, whatever their lengths.
type packed struct {
	decoder
	kernels LayerKernels
	called  bool // a Splicer calls the kernels, so their formulas are marked
}

// kernelCalls is how many kernels a layer calls: one prepares keys, one attends.
const kernelCalls = 2

func (p packed) calls() int {
	if p.called {
		return kernelCalls
	}
	return 0
}

// transposed is true on a TPU. Beside kernels its compiler lays a token's numbers out as
// a column, where it adds up their squares without moving them. Passing [D, T] saves two
// copies of the hidden states a layer.
func (p packed) transposed() bool { return p.kernels.kind == mosaicKernels }

// inputs declares the spans of package kernel: which blocks of keys each block of tokens
// needs.
func (p packed) inputs(in *parameters, s shape) []*Node {
	blocks := p.kernels.shape(s.tokens, s.context).Blocks()
	return []*Node{in.next(dtypes.Int32, 3*s.tokens/blocks.Tokens)}
}

// pack computes the spans.
func (p packed) pack(l *layout, s shape) []*tensors.Tensor {
	blocks := p.kernels.shape(s.tokens, s.context).Blocks()
	return []*tensors.Tensor{vector(blocks.Spans(l.from, l.to, l.start))}
}

// attend implements attention.
func (p packed) attend(qkv, angles *Node, w layerWeights, v view,
	keep func(fresh *Node) contextKeys) *Node {
	keys := p.kernel(p.prepareKeys, qkv, qkv, p.keyWeight(w, qkv.Graph()), angles)
	operands := []*Node{v.more[0], qkv, keys}
	if keep != nil {
		operands = append(operands, keep(keys).all())
	}
	return p.kernel(p.attendPacked, append(operands, v.ranges, p.queryWeight(w, qkv.Graph()),
		angles)...)
}

// keyWeight and queryWeight return what the kernels multiply keys and queries by, [1, E]
// float32. That of queries includes log2(e), because the kernels' softmax takes powers
// of two.
func (p packed) keyWeight(w layerWeights, g *Graph) *Node {
	return ExpandDims(p.headWeight(w.keyNorm, g, 1), 0)
}

func (p packed) queryWeight(w layerWeights, g *Graph) *Node {
	return ExpandDims(p.headWeight(w.queryNorm, g, math.Log2E/math.Sqrt(float64(p.HeadDim))), 0)
}

// kernel puts the formula between two optimization barriers, which change nothing and
// which nothing else here uses. The first takes the operands. The second takes the
// result and the first barrier's output for the first operand, which tells it from a
// first barrier. LayerKernels.call relies on exactly that.
func (p packed) kernel(formula func(in []*Node) *Node, operands ...*Node) *Node {
	if !p.called {
		return formula(operands)
	}
	in := OptimizationBarriers(operands...)
	return OptimizationBarriers(formula(in), in[0])[0]
}

// prepareKeys is the formula of mosaic.Keys and triton.Keys: [T, K·2E], for each head
// the keys and then the values.
func (p packed) prepareKeys(in []*Node) *Node {
	qkv, weight, angles := in[0], in[2], in[3]
	tokens := qkv.Shape().Dim(0)
	keys := p.normRope(p.cut(qkv, p.Heads, p.KVHeads), ExpandDims(weight, 1), angles)
	values := float32s(Reshape(p.cut(qkv, p.Heads+p.KVHeads, p.KVHeads), tokens, p.KVHeads, p.HeadDim))
	keys, values = contain(keys, values)
	return Reshape(ConvertDType(Concatenate([]*Node{keys, values}, -1), p.products), tokens,
		p.KVHeads*2*p.HeadDim)
}

// attendPacked is the formula of mosaic.Attend and triton.Attend: every token against
// every key, under a mask.
func (p packed) attendPacked(in []*Node) *Node {
	qkv, keys, ranges, weight, angles := in[1], in[2], in[len(in)-3], in[len(in)-2], in[len(in)-1]
	g, tokens, context := qkv.Graph(), qkv.Shape().Dim(0), 0
	if len(in) > 6 {
		context = in[3].Shape().Dim(0)
		keys = Concatenate([]*Node{in[3], keys}, 0)
	}
	size, groups := context+tokens, p.Heads/p.KVHeads
	queries := ConvertDType(p.normRope(p.cut(qkv, 0, p.Heads), ExpandDims(weight, 1), angles),
		p.products)
	queries = Reshape(TransposeAllDims(queries, 1, 0, 2), p.KVHeads, groups*tokens, p.HeadDim)
	// [K, C+T, 2E]
	both := float32s(TransposeAllDims(Reshape(keys, size, p.KVHeads, 2*p.HeadDim), 1, 0, 2))

	row := func(i int) *Node {
		return BroadcastToDims(Reshape(Slice(ranges, AxisElem(i)), 1, tokens, 1), groups, tokens, size)
	}
	key, token := iota(g, 2, groups, tokens, size), iota(g, 1, groups, tokens, size)
	own := AddScalar(key, -context)
	sees := LogicalOr(LogicalAnd(GreaterOrEqual(key, row(0)), LessThan(key, row(1))),
		LogicalAnd(GreaterOrEqual(own, row(2)), LessOrEqual(own, token)))
	// Softmax of powers of two; weights enter the product with the values as they would
	// in bfloat16.
	scores := dotGeneral(float32s(queries), []int{2}, []int{0},
		SliceAxis(both, 2, AxisRange(0, p.HeadDim)), []int{2}, []int{0})
	sees = BroadcastToDims(Reshape(sees, 1, groups*tokens, size), scores.Shape().Dimensions...)
	scores = Where(sees, scores, scalarLike(scores, unseen))
	weights := Exp(MulScalar(Sub(scores, ReduceAndKeep(scores, ReduceMax, -1)), math.Ln2))
	rounded := float32s(ConvertDType(weights, p.products))
	output := dotGeneral(rounded, []int{2}, []int{0}, SliceAxis(both, 2, AxisRange(p.HeadDim)),
		[]int{1}, []int{0})
	output = Div(output, ReduceAndKeep(weights, ReduceSum, -1))
	output = TransposeAllDims(Reshape(output, p.Heads, tokens, p.HeadDim), 1, 0, 2)
	return ConvertDType(Reshape(output, tokens, p.Heads*p.HeadDim), p.products)
}
