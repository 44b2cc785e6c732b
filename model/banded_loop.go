package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas

	"scored/model/kernel"
	"scored/score/plan"
)

// contextBlock is how many keys of the context tokens attend to at a time. It is a
// page: with fewer keys, products are more and smaller.
const contextBlock = plan.PageTokens

// attendLoop is attendContext one block of keys after the other, up to the last block
// that any token of the step attends to. So the cost follows the part of the context
// that is used, however long it may be. Earlier results are rescaled by the greatest
// score so far (FlashAttention, arXiv:2205.14135, algorithm 1). A block in which a
// token attends to no key changes nothing for that token.
//
// The greatest score begins at kernel.Before, far above unseen. So a key that is masked
// has the weight 0 from the start. Otherwise the values of masked keys could make the
// sum infinite, and no rescaling would repair that.
func (b banded) attendLoop(q *Node, context contextKeys, seen view) partial {
	g, tokens, groups := q.Graph(), seen.tokens(), b.Heads/b.KVHeads
	q = b.byKVHead(q)
	one := Scalar(g, dtypes.Int32, 1)
	block := MulScalar(one, contextBlock)
	last := Div(Sub(Add(ReduceAllMax(seen.to()), block), one), block)
	none := Scalar(g, dtypes.Float32, unseen)
	wide := func(x *Node, n int) *Node { return BroadcastToDims(x, b.KVHeads, groups*tokens, n) }
	zero := Sub(none, none)
	slots := context.slots
	// Pad to full blocks; the mask excludes the padding.
	if beyond := slots.Shape().Dim(0) % contextBlock; beyond > 0 {
		slots = Concatenate([]*Node{slots, BroadcastToDims(Slice(slots, AxisRange(0, 1)),
			contextBlock-beyond)}, 0)
	}
	state := []*Node{Sub(one, one), wide(Scalar(g, dtypes.Float32, kernel.Before), 1),
		wide(zero, 1), wide(zero, b.HeadDim),
		one, block, last, none, q, seen.from(), seen.to(), slots, context.cache, OnesLike(none)}
	more := func(s []*Node) *Node { return LessThan(s[0], s[6]) }
	out := loop(state, more, func(s []*Node) []*Node {
		i, top, sum, output, one, block, none, q, from, to := s[0], s[1], s[2], s[3], s[4], s[5],
			s[7], s[8], s[9], s[10]
		sumOf := s[13]
		first := Mul(i, block)
		keys, values := b.keysOf(Gather(s[12],
			ExpandDims(DynamicSlice(s[11], []*Node{first}, []int{contextBlock}), -1)))
		scores := float32s(dotGeneral(q, []int{2}, []int{0}, keys, []int{2}, []int{0})) // [K, G·T, block]
		dims := []int{tokens, contextBlock}
		key := Add(iota(i.Graph(), 1, dims...), BroadcastToDims(first, dims...))
		each := func(x *Node) *Node { return BroadcastToDims(ExpandDims(x, -1), dims...) }
		sees := LogicalAnd(GreaterOrEqual(key, each(from)), LessThan(key, each(to)))
		scores = Where(b.ofGroups(sees), scores, BroadcastToDims(none, scores.Shape().Dimensions...))
		greatest := Max(top, Neg(ReduceAndKeep(Neg(scores), ReduceMin, -1)))
		weights, shrink := Exp(Sub(scores, greatest)), Exp(Sub(top, greatest))
		ones := BroadcastToDims(sumOf, b.KVHeads, contextBlock, 1)
		sum = Add(Mul(sum, shrink), dotGeneral(weights, []int{2}, []int{0}, ones, []int{1}, []int{0}))
		product := dotGeneral(ConvertDType(weights, b.products), []int{2}, []int{0}, values,
			[]int{1}, []int{0})
		output = Add(Mul(output, shrink), float32s(product))
		return append([]*Node{Add(i, one), greatest, sum, output}, s[4:]...)
	})
	top, sum, output := out[1], out[2], out[3]
	sum = Where(Equal(sum, ZerosLike(sum)), OnesLike(sum), sum) // of a token that sees no key
	return partial{b.tokensFirst(Div(output, sum), tokens), b.tokensFirst(Add(top, Log(sum)), tokens)}
}

// keysOf cuts [n, K·2E] into keys and values [K, n, E].
func (b banded) keysOf(both *Node) (keys, values *Node) {
	size := both.Shape().Dim(0)
	both.AssertDims(size, b.KVHeads*2*b.HeadDim)
	both = TransposeAllDims(Reshape(both, size, b.KVHeads, 2, b.HeadDim), 2, 1, 0, 3) // [2, K, n, E]
	half := func(i int) *Node { return Reshape(Slice(both, AxisElem(i)), b.KVHeads, size, b.HeadDim) }
	return half(0), half(1)
}
