package model

import (
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// attention is a way to compute attention. Each has a file: banded.go for any device,
// packed.go by kernels.
//
// A token attends to two runs of keys: a range of the step's context, which is gathered
// from the KV cache, and the step's own tokens from some first one up to itself.
// Prefixes of any number and length, rows that stand alone, and the padding of a step
// need no other distinction.
type attention interface {
	// inputs declares the inputs that the variant needs of a step beyond view. pack
	// makes the arrays for them, in the same order.
	inputs(in *parameters, s shape) []*Node
	pack(l *layout, s shape) []*tensors.Tensor
	// attend returns the attention output [T, H·E] of qkv [T, (H+2K)·E] in the dtype of
	// products, with angles [T, 2E].
	//
	// keep is nil in a shape without a context. Otherwise attend must call it once,
	// with the step's own keys and values [T, K·2E] in the dtype of products, for each
	// head the keys and then the values; keep returns the context.
	attend(qkv, angles *Node, w layerWeights, v view, keep func(fresh *Node) contextKeys) *Node
	// transposed reports whether hidden states are passed between programs as [D, T].
	transposed() bool
	// calls returns how many kernels a layer's program calls.
	calls() int
	// checks returns the comparisons with the formula that a device must pass; none if
	// there is nothing to compare.
	checks(buckets []plan.Bucket) []check
}

// view is what a layer's program knows about which token attends to what. All arrays
// are int32.
type view struct {
	// ranges [3, T] holds for each token the range from … to-1 of the context's keys
	// that it attends to, and the first of the step's tokens that it attends to.
	ranges *Node
	length int     // no row has more own tokens
	more   []*Node // the variant's inputs
}

// tokens returns T, the number of tokens of the step, padding included.
func (v view) tokens() int { return v.ranges.Shape().Dim(1) }

// row returns row i of ranges, [T].
func (v view) row(i int) *Node { return Reshape(Slice(v.ranges, AxisElem(i)), v.tokens()) }

func (v view) from() *Node  { return v.row(0) }
func (v view) to() *Node    { return v.row(1) }
func (v view) start() *Node { return v.row(2) }

// unseen is the score of a key that a query does not attend to. It is finite, so that no
// NaN can arise.
const unseen = -1e30

// contain keeps non-finite values of a token from tokens that do not attend to it. The
// weight of such a key is 0, but 0·NaN is NaN. So contain replaces non-finite values by
// 0 and makes the key NaN: a token that does attend to it gets NaN through the score.
// It looks at the last axis.
func contain(k, v *Node) (*Node, *Node) {
	broken := ReduceAndKeep(Sub(v, v), ReduceSum, -1) // 0 or, if a value is NaN or infinite, NaN
	return Add(k, broken), Where(IsFinite(v), v, ZerosLike(v))
}

// scalarLike returns an array of one number, of x's shape and dtype.
func scalarLike(x *Node, value float64) *Node {
	return BroadcastToDims(Scalar(x.Graph(), x.DType(), value), x.Shape().Dimensions...)
}
