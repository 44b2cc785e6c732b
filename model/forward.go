package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
)

// The forward pass of a dense Qwen3 (arXiv:2505.09388, section 2): pre-norm blocks of grouped-query attention with RMSNorm
// on every query and key head, rotary positions, and a SwiGLU MLP. Qwen2 has biases of queries, keys and values instead of
// the norms, and Llama neither.
//
// Shapes are written [T, D]: T packed tokens of a step, D hidden size, H query heads, K key-value heads, G = H/K query
// heads per key-value head, E head size, F MLP size, V vocabulary. Weights are stored [out, in].
//
// Numbers: matrix products take their inputs in one dtype and everything between them is float32.
type network struct {
	Config
	stored   dtypes.DType // of the weights on the device
	products dtypes.DType // of the inputs of matrix products, and of kept keys and values
	// headByHead attends with one query head after the other, on slices of [T, h·E]: see Options.
	headByHead bool
	// headByHeadFrom is the least work of a step that does so; 0: none does.
	headByHeadFrom int
	// scoreBytes bounds the scores that attention to a prefix holds at a time, counted in float32.
	scoreBytes int
	minBlock   int // tokens of a block, at least
	// kernels attend, as kernels.go says; marked is false where nobody looks for their marks.
	kernels, marked bool
	by              Kernels  // whose they are
	splicer         *Splicer // that calls the kernels; nil: their formula runs
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
// ids, positions [T] -> x [T, D] float32, cos, sin [T, E] float32, for both halves of E; the sine with the sign it has in each.
func (n network) embed(ids, positions, table *Node) (x, cos, sin *Node) {
	tokens := ids.Shape().Dim(0)
	table.AssertDims(n.VocabSize, n.HiddenSize)
	x = float32s(Gather(table, ExpandDims(ids, -1)))
	x.AssertDims(tokens, n.HiddenSize)

	angles := n.angles(positions)
	c, s := Cos(angles), Sin(angles)
	return x, Concatenate([]*Node{c, c}, -1), Concatenate([]*Node{Neg(s), s}, -1)
}

// angles are position(t) · frequency(i) less whole turns: [T] -> [T, E/2] in [-π, π]. A product in float32 would be wrong by
// up to 2^-24 of itself, which is more the later the token, 0.002 at 32,000. So a turn is cut into 2^64 parts, which int64
// counts exactly, dropping whole turns by overflow.
func (n network) angles(positions *Node) *Node {
	parts := make([]int64, n.HeadDim/2)
	for i, frequency := range n.frequencies() {
		turns := frequency / (2 * math.Pi)
		parts[i] = int64(math.Ldexp(turns-math.Round(turns), 64))
	}
	counted := Mul(ExpandDims(ConvertDType(positions, dtypes.Int64), -1), ExpandDims(Const(positions.Graph(), parts), 0))
	counted.AssertDims(positions.Shape().Dim(0), n.HeadDim/2)
	return MulScalar(float32s(counted), math.Ldexp(math.Pi, -63))
}

// block is one transformer block: x + attention(norm(x)), then x + mlp(norm(x)). [T, D] -> [T, D].
// attend gets the packed tokens' heads [T, (H+2K)·E] in the dtype of products, and gives the mixed values [T, H·E].
func (n network) block(x *Node, w blockWeights, attend func(qkv *Node) *Node) *Node {
	tokens := x.Shape().Dim(0)
	h := n.norm(x, w.inputNorm)
	qkv := n.linear(h, w.qkv)
	qkv.AssertDims(tokens, (n.Heads+2*n.KVHeads)*n.HeadDim)
	if n.QKVBias {
		qkv = ConvertDType(Add(float32s(qkv), ExpandDims(float32s(w.qkvBias), 0)), n.products)
	}
	mixed := attend(qkv)
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
	return x
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
	logits.AssertDims(rows, n.VocabSize)
	top := ReduceAndKeep(logits, ReduceMax, -1) // [R, 1]
	sum := ReduceAndKeep(Exp(Sub(logits, top)), ReduceSum, -1)
	// All is read at the pairs first: subtracting before makes a CPU's compiler write [R, V] out once more.
	of := Slice(pairs, AxisRange(), AxisRange(0, 1)) // [Q, 1], the pairs' rows
	below := Sub(Gather(logits, pairs), Squeeze(Gather(top, of), -1))
	// top + log(sum) would round a likely label's small number to an ulp of the large top.
	return Sub(below, Squeeze(Gather(Log(sum), of), -1))
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
	return dotGeneral(ConvertDType(x, n.products), []int{1}, nil, ConvertDType(w, n.products), []int{1}, nil)
}

// norm is RMSNorm over the last axis (arXiv:1910.07467): x / sqrt(mean(x²) + eps) · weight, in float32.
func (n network) norm(x, weight *Node) *Node {
	meanSquare := ReduceAndKeep(Mul(x, x), ReduceMean, -1)
	x = Mul(x, Rsqrt(AddScalar(meanSquare, n.RMSEps)))
	return Mul(x, ExpandLeftToRank(float32s(weight), x.Rank()))
}

// heads cuts [T, (H+2K)·E] into queries [T, H·E], keys and values [T, K·E] in the dtype of products. Queries and keys
// are normed, where the model does so, and turned by their tokens' angles, queries scaled by 1/sqrt(E).
func (n network) heads(qkv, cos, sin *Node, w blockWeights) (q, k, v *Node) {
	tokens, turned := qkv.Shape().Dim(0), n.Heads+n.KVHeads
	weight := func(w *Node, heads int, scale float64) *Node {
		return BroadcastToDims(Reshape(n.headWeight(w, qkv.Graph(), scale), 1, 1, -1), 1, heads, n.HeadDim)
	}
	weights := Concatenate([]*Node{
		weight(w.queryNorm, n.Heads, 1/math.Sqrt(float64(n.HeadDim))),
		weight(w.keyNorm, n.KVHeads, 1),
	}, 1) // [1, H+K, E]
	cos, sin = ExpandDims(cos, 1), ExpandDims(sin, 1) // [T, 1, E]
	at := turned
	if n.headByHead {
		at = 1
	}
	var parts []*Node
	for head := 0; head < turned; head += at {
		x := n.turn(Reshape(n.cut(qkv, head, at), tokens, at, n.HeadDim), SliceAxis(weights, 1, AxisRange(head, head+at)), cos, sin)
		parts = append(parts, Reshape(ConvertDType(x, n.products), tokens, at*n.HeadDim))
	}
	x := Concatenate(parts, 1) // [T, (H+K)·E]
	return n.cut(x, 0, n.Heads), n.cut(x, n.Heads, n.KVHeads), ConvertDType(n.cut(qkv, turned, n.KVHeads), n.products)
}

// headWeight is what each head's vector is multiplied by, [E] float32: the norm's weight, where heads are normed, and a scale.
func (n network) headWeight(norm *Node, g *Graph, scale float64) *Node {
	if !n.QKNorm {
		norm = Ones(g, shapes.Make(dtypes.Float32, n.HeadDim))
	}
	return MulScalar(float32s(norm), scale)
}

// turn norms each head's vector and turns it by its token's angles, the pair (x_i, x_{i+E/2}) by angle i:
// norm(x)·cos + swap(norm(x))·sin, with the swap before the norm, where it is exact in any dtype. x [T, h, E] -> the same.
func (n network) turn(x, weights, cos, sin *Node) *Node {
	wide := float32s(x)
	turned := Add(Mul(wide, Mul(weights, cos)), Mul(float32s(n.swap(x)), Mul(swapHalves(weights), sin)))
	if !n.QKNorm {
		return turned
	}
	return Mul(Rsqrt(AddScalar(n.meanSquare(wide), n.RMSEps)), turned)
}

// swap exchanges the halves of the last axis. A TPU moves numbers across a register by multiplying with a permutation.
func (n network) swap(x *Node) *Node {
	if !n.headByHead {
		return swapHalves(x)
	}
	g, e := x.Graph(), n.HeadDim
	from, to := iota(g, 0, e, e), iota(g, 1, e, e)
	permutation := ConvertDType(Equal(from, ModScalar(AddScalar(to, e/2), e)), x.DType())
	return dotGeneral(x, []int{2}, nil, permutation, []int{0}, nil)
}

func swapHalves(x *Node) *Node {
	half := x.Shape().Dim(-1) / 2
	return Concatenate([]*Node{SliceAxis(x, -1, AxisRange(half)), SliceAxis(x, -1, AxisRange(0, half))}, -1)
}

// meanSquare is the mean of x² over the last axis, [T, h, E] -> [T, h, 1] or [T, h, E] of the same number. A TPU adds up a
// register, and fills one with the sum, by multiplying with ones. The squares it takes in the dtype of products, which
// moves a norm by some 1e-4 of itself; that is written out so that every device does the same.
func (n network) meanSquare(x *Node) *Node {
	square := Mul(x, x)
	if !n.headByHead {
		return ReduceAndKeep(square, ReduceMean, -1)
	}
	ones := Ones(x.Graph(), shapes.Make(dtypes.Float32, n.HeadDim, n.HeadDim))
	sum := dotGeneral(float32s(ConvertDType(square, n.products)), []int{2}, nil, ones, []int{0}, nil)
	return MulScalar(sum, 1/float64(n.HeadDim))
}

// group is heads that attend at a time: queries from one on, and the keys and values they share.
type group struct{ query, queries, key, keys int }

// groups are all heads at once or, head by head, each query head.
func (n network) groups() []group {
	if !n.headByHead {
		return []group{{0, n.Heads, 0, n.KVHeads}}
	}
	groups := make([]group, n.Heads)
	for h := range groups {
		groups[h] = group{h, 1, h * n.KVHeads / n.Heads, 1}
	}
	return groups
}

// cut takes heads off the last axis, E numbers each.
func (n network) cut(x *Node, from, heads int) *Node {
	return SliceAxis(x, -1, AxisRange(from*n.HeadDim, (from+heads)*n.HeadDim))
}

// byHead lays rows [R, L, h·E] out as [R, h, L, E].
func (n network) byHead(x *Node) *Node {
	rows, length := x.Shape().Dim(0), x.Shape().Dim(1)
	return TransposeAllDims(Reshape(x, rows, length, -1, n.HeadDim), 0, 2, 1, 3)
}

// byToken lays [R, h, L, d] out as [R, L, h·d].
func byToken(x *Node) *Node {
	rows, heads, length, dim := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)
	return Reshape(TransposeAllDims(x, 0, 2, 1, 3), rows, length, heads*dim)
}

func float32s(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }

// iota is 0, 1, 2… along axis of a [dims] array of int32.
func iota(g *Graph, axis int, dims ...int) *Node {
	return Iota(g, shapes.Make(dtypes.Int32, dims...), axis)
}

// dotGeneral is DotGeneral whose accumulator is the backend's choice, which is float32 on every device. GoMLX would write
// it as an algorithm of float32 operands into the program; a GPU refuses that for bfloat16, and a TPU may take it at its
// word and multiply float32.
func dotGeneral(x *Node, contracted, batch []int, y *Node, yContracted, yBatch []int) *Node {
	return Dot(x, y).WithAccumulatorDType(dtypes.InvalidDType).General(contracted, batch, yContracted, yBatch)
}
