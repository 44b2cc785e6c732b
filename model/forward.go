package model

import (
	"math"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph" //nolint:staticcheck // the forward pass reads as formulas
	"github.com/gomlx/gomlx/pkg/core/shapes"
)

// The forward pass of a dense Qwen3 (arXiv:2505.09388, section 2): pre-norm blocks of grouped-query attention with RMSNorm
// on every query and key head, rotary positions, and a SwiGLU MLP. Qwen2 has biases of queries, keys and values instead of
// the norms.
//
// Shapes are written [T, D]: T packed tokens of a step, D hidden size, H query heads, K key-value heads, G = H/K query
// heads per key-value head, E head size, F MLP size, V vocabulary. Weights are stored [out, in].
//
// Numbers: matrix products take their inputs in one dtype and everything between them is float32.
type network struct {
	Config
	stored   dtypes.DType // of the weights on the device
	products dtypes.DType // of the inputs of matrix products, and of kept keys and values
}

// blockWeights are the parameters of one block.
type blockWeights struct {
	inputNorm *Node // [D]
	qkv       *Node // [(H+2K)·E, D]
	output    *Node // [D, H·E]
	postNorm  *Node // [D]
	gateUp    *Node // [2F, D]
	down      *Node // [D, F]

	qkvBias            *Node // [(H+2K)·E], with Config.QKVBias
	queryNorm, keyNorm *Node // [E], with Config.QKNorm
}

// embed looks the tokens up and gives the rotary angles of their positions.
// ids, positions [T] -> x [T, D] float32, cos, sin [T, E/2] float32.
func (n network) embed(ids, positions, table *Node) (x, cos, sin *Node) {
	tokens := ids.Shape().Dim(0)
	table.AssertDims(n.VocabSize, n.HiddenSize)
	x = float32s(Gather(table, ExpandDims(ids, -1)))
	x.AssertDims(tokens, n.HiddenSize)

	// angle(t, i) = position(t) · theta^(-2i/E): RoFormer, arXiv:2104.09864, equation 15.
	half := n.HeadDim / 2
	frequencies := make([]float32, half)
	for i := range frequencies {
		frequencies[i] = float32(1 / math.Pow(n.RopeTheta, float64(2*i)/float64(n.HeadDim)))
	}
	angles := Mul(ExpandDims(float32s(positions), -1), ExpandDims(Const(ids.Graph(), frequencies), 0))
	angles.AssertDims(tokens, half)
	return x, Cos(angles), Sin(angles)
}

// block is one transformer block: x + attention(norm(x)), then x + mlp(norm(x)). [T, D] -> [T, D].
// The prefix keys and values it attended to come back too, to be kept for later steps.
func (n network) block(x, cos, sin *Node, w blockWeights, seen sight, kept prefixKV) (*Node, prefixKV) {
	tokens := x.Shape().Dim(0)
	h := n.norm(x, w.inputNorm)
	qkv := n.linear(h, w.qkv)
	qkv.AssertDims(tokens, (n.Heads+2*n.KVHeads)*n.HeadDim)
	if n.QKVBias {
		qkv = ConvertDType(Add(float32s(qkv), ExpandDims(float32s(w.qkvBias), 0)), n.products)
	}
	q, k, v := n.heads(qkv)
	if n.QKNorm {
		q, k = n.norm(q, w.queryNorm), n.norm(k, w.keyNorm)
	}
	q = n.rotate(q, cos, sin) // [T, H, E]
	k = n.rotate(k, cos, sin) // [T, K, E]
	q = ConvertDType(MulScalar(q, 1/math.Sqrt(float64(n.HeadDim))), n.products)
	k = ConvertDType(k, n.products)
	mixed, prefix := n.attend(q, k, v, seen, kept)
	mixed.AssertDims(tokens, n.Heads*n.HeadDim)
	x = Add(x, float32s(n.linear(mixed, w.output)))

	h = n.norm(x, w.postNorm)
	gateUp := n.linear(h, w.gateUp)
	gateUp.AssertDims(tokens, 2*n.IntermediateSize)
	gate := float32s(Slice(gateUp, AxisRange(), AxisRange(0, n.IntermediateSize)))
	up := float32s(Slice(gateUp, AxisRange(), AxisRange(n.IntermediateSize)))
	// SwiGLU: silu(gate) · up, arXiv:2002.05202.
	x = Add(x, float32s(n.linear(Mul(Mul(gate, Logistic(gate)), up), w.down)))
	x.AssertDims(tokens, n.HiddenSize)
	return x, prefix
}

// last is the final norm of chosen tokens: x [T, D], indexes [R] -> [R, D].
func (n network) last(x, indexes, weight *Node) *Node {
	return n.norm(Gather(x, ExpandDims(indexes, -1)), weight)
}

// logprobs is the head: log-probabilities of labels as the next token, normalised over the vocabulary.
// h [R, D] normed hidden states; pairs [Q, 2] of (row, label) -> [Q] float32.
func (n network) logprobs(h, pairs, table *Node) *Node {
	rows := h.Shape().Dim(0)
	logits := n.logits(h, table)
	top := ReduceAndKeep(logits, ReduceMax, -1) // [R, 1]
	sum := ReduceAndKeep(Exp(Sub(logits, top)), ReduceSum, -1)
	normal := Sub(logits, Add(Log(sum), top))
	normal.AssertDims(rows, n.VocabSize)
	return Gather(normal, pairs)
}

// labelLogits is the head when only the labels are compared with each other: the numbers of logprobs up to one constant
// per row, without the product over the vocabulary. Same shapes as logprobs.
func (n network) labelLogits(h, pairs, table *Node) *Node {
	rows := Gather(ConvertDType(h, n.products), Slice(pairs, AxisRange(), AxisRange(0, 1))) // [Q, D]
	labels := Gather(table, Slice(pairs, AxisRange(), AxisRange(1, 2)))                     // [Q, D]
	return ReduceSum(Mul(float32s(rows), float32s(labels)), -1)
}

// logits multiplies by the table [V, D]: [R, D] -> [R, V] float32.
func (n network) logits(h, table *Node) *Node {
	table.AssertDims(n.VocabSize, n.HiddenSize)
	return float32s(n.linear(h, table))
}

// linear is a matrix product: x [T, in] · w [out, in] -> [T, out] in the dtype of products.
func (n network) linear(x, w *Node) *Node {
	return DotGeneral(ConvertDType(x, n.products), []int{1}, nil, ConvertDType(w, n.products), []int{1}, nil)
}

// norm is RMSNorm over the last axis (arXiv:1910.07467): x / sqrt(mean(x²) + eps) · weight, in float32.
func (n network) norm(x, weight *Node) *Node {
	x = float32s(x)
	meanSquare := ReduceAndKeep(Mul(x, x), ReduceMean, -1)
	x = Mul(x, Rsqrt(AddScalar(meanSquare, n.RMSEps)))
	return Mul(x, ExpandLeftToRank(float32s(weight), x.Rank()))
}

// rotate turns each head's vector by its token's angles: the pair (x_i, x_{i+E/2}) by angle i.
// x [T, heads, E]; cos, sin [T, E/2].
func (n network) rotate(x, cos, sin *Node) *Node {
	half := n.HeadDim / 2
	a := Slice(x, AxisRange(), AxisRange(), AxisRange(0, half))
	b := Slice(x, AxisRange(), AxisRange(), AxisRange(half))
	cos, sin = ExpandDims(cos, 1), ExpandDims(sin, 1)
	return Concatenate([]*Node{Sub(Mul(a, cos), Mul(b, sin)), Add(Mul(b, cos), Mul(a, sin))}, -1)
}

// heads cuts [T, (H+2K)·E] into queries [T, H, E], keys and values [T, K, E].
func (n network) heads(qkv *Node) (q, k, v *Node) {
	cut := func(from, heads int) *Node {
		part := Slice(qkv, AxisRange(), AxisRange(from*n.HeadDim, (from+heads)*n.HeadDim))
		return Reshape(part, qkv.Shape().Dim(0), heads, n.HeadDim)
	}
	return cut(0, n.Heads), cut(n.Heads, n.KVHeads), cut(n.Heads+n.KVHeads, n.KVHeads)
}

func float32s(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }

// iota is 0, 1, 2… along axis of a [dims] array of int32.
func iota(g *Graph, axis int, dims ...int) *Node {
	return Iota(g, shapes.Make(dtypes.Int32, dims...), axis)
}
