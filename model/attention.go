package model

import (
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// attention is a way to attend: a file each, banded.go for any device and packed.go by kernels.
//
// A token sees two runs of keys: a range of the step's context, which is gathered from the KV cache, and the step's own
// tokens from one on up to itself. Prefixes of any number and length, rows that stand alone, and the padding of a step are
// all the same to it.
type attention interface {
	// inputs takes what the variant wants to know of a step beyond view; pack makes the arrays for it, in the same order.
	inputs(in *parameters, s shape) []*Node
	pack(l *layout, s shape) []*tensors.Tensor
	// attend gives the mixed values [T, H·E] of qkv [T, (H+2K)·E] in the dtype of products, with angles [T, 2E]. keep
	// is nil in a shape without a context. It must be called once, with the step's own keys and values [T, K·2E], of each
	// head the keys and then the values, in the dtype of products, and gives the context.
	attend(qkv, angles *Node, w layerWeights, v view, keep func(fresh *Node) contextKeys) *Node
	// transposed tells that hidden states go from program to program as [D, T].
	transposed() bool
	// calls is how many kernels a layer's program calls.
	calls() int
	// checks are the comparisons with the formula that a device must pass; none where there is nothing to compare.
	checks(buckets []plan.Bucket) []check
}

// view is what a layer's program knows of which token sees what. All are int32.
type view struct {
	sight  *Node   // [3, T]: of each token the context's keys that it sees, from … to-1, and the step's first token that it sees
	length int     // no row has more tokens of its own
	more   []*Node // of the variant
}

func (v view) tokens() int { return v.sight.Shape().Dim(1) }

// row is one of sight's, [T].
func (v view) row(i int) *Node { return Reshape(Slice(v.sight, AxisElem(i)), v.tokens()) }

func (v view) from() *Node  { return v.row(0) }
func (v view) to() *Node    { return v.row(1) }
func (v view) start() *Node { return v.row(2) }

const unseen = -1e30 // the score of a key that a query does not see; finite, so that no NaN can arise

// contain keeps a token whose values overflowed from those that do not see it. Their weight for it is 0, but 0·NaN is NaN,
// so its values become 0, and its keys NaN: whoever does see it gets that through the score. It sums over the last axis.
func contain(k, v *Node) (*Node, *Node) {
	broken := ReduceAndKeep(Sub(v, v), ReduceSum, -1) // 0 or, if a value is NaN or infinite, NaN
	return Add(k, broken), Where(IsFinite(v), v, ZerosLike(v))
}

// scalarLike is an array of x's shape and dtype that holds one number.
func scalarLike(x *Node, value float64) *Node {
	return BroadcastToDims(Scalar(x.Graph(), x.DType(), value), x.Shape().Dimensions...)
}
