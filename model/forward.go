package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas

	"scored/model/checkpoint"
)

// decoder is the forward pass of a dense Qwen3 (arXiv:2505.09388, section 2): pre-norm
// layers of grouped-query attention with RMSNorm on every query and key head, rotary
// positions, and a SwiGLU MLP. Qwen2 has biases of queries, keys and values instead of
// the norms, and Llama neither.
//
// Shapes are written [T, D]: T packed tokens of a step, D hidden size, H query heads, K
// key-value heads, G = H/K query heads per key-value head, E head size, F MLP size, V
// vocabulary. Weights are stored [out, in].
//
// Numbers: matrix products take their inputs in one dtype and everything between them
// is float32.
type decoder struct {
	checkpoint.Config
	stored   dtypes.DType // of the matrices on the device; vectors are float32
	products dtypes.DType // of the inputs of matrix products, and of the KV cache
}

// dtypeOf returns the dtype on the device of a parameter with these axes.
func (d decoder) dtypeOf(dims []int) dtypes.DType {
	if len(dims) == 1 {
		return dtypes.Float32
	}
	return d.stored
}

// rope returns the rotary positions of the model.
func (d decoder) rope() rope { return rope{d.RopeTheta, d.HeadDim, d.RopeScaling} }

// embed looks up the tokens and computes the angles of RoPE for their positions: ids,
// positions [T] -> x [T, D] float32, angles [T, 2E] float32, which are the cosines for
// both halves of E, and then the sines, with the sign that they have in each half.
func (d decoder) embed(ids, positions, table *Node) (x, angles *Node) {
	tokens := ids.Shape().Dim(0)
	table.AssertDims(d.VocabSize, d.HiddenSize)
	x = float32s(Gather(table, ExpandDims(ids, -1)))
	x.AssertDims(tokens, d.HiddenSize)

	radians := d.rope().angles(positions)
	c, s := Cos(radians), Sin(radians)
	angles = Concatenate([]*Node{c, c, Neg(s), s}, -1)
	angles.AssertDims(tokens, 2*d.HeadDim)
	return x, angles
}

// transform is one transformer layer: x + attention(norm(x)), then x + mlp(norm(x)).
// [T, D] -> [T, D]. attend receives the packed tokens' heads [T, (H+2K)·E] in the dtype
// of products and returns the attention output [T, H·E].
func (d decoder) transform(x *Node, w layerWeights, attend func(qkv *Node) *Node) *Node {
	tokens := x.Shape().Dim(0)
	h := d.norm(x, w.inputNorm)
	qkv := d.linear(h, w.qkv)
	qkv.AssertDims(tokens, (d.Heads+2*d.KVHeads)*d.HeadDim)
	if d.QKVBias {
		qkv = ConvertDType(Add(float32s(qkv), ExpandDims(w.qkvBias, 0)), d.products)
	}
	output := attend(qkv)
	output.AssertDims(tokens, d.Heads*d.HeadDim)
	x = Add(x, float32s(d.linear(output, w.output)))

	h = d.norm(x, w.postNorm)
	gateUp := d.linear(h, w.gateUp)
	gateUp.AssertDims(tokens, 2*d.IntermediateSize)
	gate := float32s(Slice(gateUp, AxisRange(), AxisRange(0, d.IntermediateSize)))
	up := float32s(Slice(gateUp, AxisRange(), AxisRange(d.IntermediateSize)))
	// SwiGLU: silu(gate) · up, arXiv:2002.05202.
	x = Add(x, float32s(d.linear(Mul(Mul(gate, Logistic(gate)), up), w.down)))
	x.AssertDims(tokens, d.HiddenSize)
	return x
}

// last is the final norm of chosen tokens: x [T, D], indexes [R] -> [R, D].
func (d decoder) last(x, indexes, weight *Node) *Node {
	return d.norm(Gather(x, ExpandDims(indexes, -1)), weight)
}

// logprobs is the output head: log-probabilities of labels as the next token,
// normalised over the vocabulary. h [R, D] normed hidden states; pairs [Q, 2] of (row,
// label) -> [Q] float32.
func (d decoder) logprobs(h, pairs, table *Node) *Node {
	rows := h.Shape().Dim(0)
	logits := d.logits(h, table)
	logits.AssertDims(rows, d.VocabSize)
	top := ReduceAndKeep(logits, ReduceMax, -1) // [R, 1]
	sum := ReduceAndKeep(Exp(Sub(logits, top)), ReduceSum, -1)
	// All is read at the pairs first: subtracting before makes a CPU's compiler write
	// [R, V] out once more.
	of := Slice(pairs, AxisRange(), AxisRange(0, 1)) // [Q, 1], the pairs' rows
	below := Sub(Gather(logits, pairs), Squeeze(Gather(top, of), -1))
	// top + log(sum) would round a likely label's small number to an ulp of the large
	// top.
	return Sub(below, Squeeze(Gather(Log(sum), of), -1))
}

// labelLogits is the output head if labels are only compared with each other: the
// numbers of logprobs up to one constant for each row, without the product over the
// vocabulary. It has the same shapes as logprobs.
func (d decoder) labelLogits(h, pairs, table *Node) *Node {
	rows := Gather(ConvertDType(h, d.products), Slice(pairs, AxisRange(), AxisRange(0, 1))) // [Q, D]
	labels := Gather(table, Slice(pairs, AxisRange(), AxisRange(1, 2)))                     // [Q, D]
	return ReduceSum(Mul(float32s(rows), float32s(labels)), -1)
}

// logits multiplies by the table [V, D]: [R, D] -> [R, V] float32.
func (d decoder) logits(h, table *Node) *Node {
	table.AssertDims(d.VocabSize, d.HiddenSize)
	return float32s(d.linear(h, table))
}

// linear is a matrix product: x [T, in] · w [out, in] -> [T, out] in the dtype of
// products.
func (d decoder) linear(x, w *Node) *Node {
	return dotGeneral(ConvertDType(x, d.products), []int{1}, nil, ConvertDType(w, d.products),
		[]int{1}, nil)
}

// norm is RMSNorm over the last axis (arXiv:1910.07467): x / sqrt(mean(x²) + eps) ·
// weight, in float32.
func (d decoder) norm(x, weight *Node) *Node {
	meanSquare := ReduceAndKeep(Mul(x, x), ReduceMean, -1)
	x = Mul(x, Rsqrt(AddScalar(meanSquare, d.RMSEps)))
	return Mul(x, ExpandLeftToRank(weight, x.Rank()))
}

// heads splits [T, (H+2K)·E] into queries [T, H·E], keys and values [T, K·E] in the
// dtype of products. It applies RMSNorm, if the model has it, and RoPE with angles [T,
// 2E] to queries and keys, and scales queries by 1/sqrt(E).
func (d decoder) heads(qkv, angles *Node, w layerWeights) (q, k, v *Node) {
	tokens, rotated := qkv.Shape().Dim(0), d.Heads+d.KVHeads
	weight := func(w *Node, heads int, scale float64) *Node {
		return BroadcastToDims(Reshape(d.headWeight(w, qkv.Graph(), scale), 1, 1, -1), 1, heads,
			d.HeadDim)
	}
	weights := Concatenate([]*Node{
		weight(w.queryNorm, d.Heads, 1/math.Sqrt(float64(d.HeadDim))),
		weight(w.keyNorm, d.KVHeads, 1),
	}, 1) // [1, H+K, E]
	x := d.normRope(d.cut(qkv, 0, rotated), weights, angles) // [T, H+K, E]
	x = Reshape(ConvertDType(x, d.products), tokens, rotated*d.HeadDim)
	return d.cut(x, 0, d.Heads), d.cut(x, d.Heads, d.KVHeads),
		ConvertDType(d.cut(qkv, rotated, d.KVHeads), d.products)
}

// headWeight returns what each head's vector is multiplied by, [E] float32: the norm's
// weight, if heads are normed, times a scale.
func (d decoder) headWeight(norm *Node, g *Graph, scale float64) *Node {
	if !d.QKNorm {
		norm = Ones(g, shapes.Make(dtypes.Float32, d.HeadDim))
	}
	return MulScalar(norm, scale)
}

// normRope applies RMSNorm, if the model has it, and RoPE to each head's vector, with
// the pair (x_i, x_{i+E/2}) and angle i: norm(x)·cos + swap(norm(x))·sin. It swaps
// before the norm, where swapping is exact in any dtype. x [T, h·E], weights [1, h, E]
// or [1, 1, E], angles [T, 2E] -> [T, h, E] float32.
func (d decoder) normRope(x, weights, angles *Node) *Node {
	x = Reshape(x, x.Shape().Dim(0), -1, d.HeadDim)
	half := func(from int) *Node {
		return ExpandDims(SliceAxis(angles, 1,
			AxisRange(from, from+d.HeadDim)), 1)
	}
	cos, sin := half(0), half(d.HeadDim) // [T, 1, E]
	wide := float32s(x)
	rotated := Add(Mul(wide, Mul(weights, cos)),
		Mul(float32s(swapHalves(x)), Mul(swapHalves(weights), sin)))
	if !d.QKNorm {
		return rotated
	}
	return Mul(Rsqrt(AddScalar(ReduceAndKeep(Mul(wide, wide), ReduceMean, -1), d.RMSEps)), rotated)
}

// swapHalves exchanges the halves of the last axis.
func swapHalves(x *Node) *Node {
	half := x.Shape().Dim(-1) / 2
	return Concatenate([]*Node{SliceAxis(x, -1, AxisRange(half)),
		SliceAxis(x, -1, AxisRange(0, half))}, -1)
}

// cut takes heads off the last axis, E numbers each.
func (d decoder) cut(x *Node, from, heads int) *Node {
	return SliceAxis(x, -1, AxisRange(from*d.HeadDim, (from+heads)*d.HeadDim))
}

func float32s(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }

// iota is 0, 1, 2… along axis of a [dims] array of int32.
func iota(g *Graph, axis int, dims ...int) *Node {
	return Iota(g, shapes.Make(dtypes.Int32, dims...), axis)
}

// dotGeneral is DotGeneral with the accumulator left to the backend, which takes
// float32 on every device. GoMLX would write it into the program as an algorithm of
// float32 operands; a GPU refuses that for bfloat16, and a TPU may take it literally
// and multiply float32.
func dotGeneral(x *Node, contracted, batch []int, y *Node, yContracted, yBatch []int) *Node {
	return Dot(x, y).WithAccumulatorDType(dtypes.InvalidDType).General(contracted, batch,
		yContracted, yBatch)
}
