package model

import (
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// banded attends by operations of the graph, on any device. Each run of keys that a token sees gives a softmax of its own and
// the mass of its scores; merging the two is exact, since softmax over a union is the sum of rescaled parts (the identity
// behind FlashAttention, arXiv:2205.14135, section 3.1).
//
// The own run: rows lie packed one after the other, none longer than a bucket's Length. So a block of tokens attends to a
// band of the step's tokens that begins Length-1 before it, and a mask keeps rows apart: see band.
//
// The context: a block of tokens after the other attends to all of it, under a mask. So a token's scores do not depend on
// which others share its step.
type banded struct {
	decoder
	// scoreBytes bounds the scores that attention to the context holds at a time, counted in float32, if those of minBlock
	// tokens are less.
	scoreBytes, minBlock int
	loops                bool // the device runs loops of its own accord: see attendLoop
}

func (b banded) inputs(*parameters, shape) []*Node     { return nil }
func (b banded) pack(*layout, shape) []*tensors.Tensor { return nil }
func (b banded) transposed() bool                      { return false }
func (b banded) calls() int                            { return 0 }
func (b banded) checks([]plan.Bucket) []check          { return nil }

// partial is attention over some of the keys: a complete softmax, and what it takes to join it with others.
type partial struct {
	mixed *Node // [T, H·E] float32: softmax(scores) · values over these keys; rounded once, when joined
	mass  *Node // [T, H] float32: log of the sum of exp(score) over these keys; about unseen if there is none
}

// attend implements attention.
func (b banded) attend(qkv, angles *Node, w layerWeights, v view, keep func(fresh *Node) contextKeys) *Node {
	tokens := qkv.Shape().Dim(0)
	q, keys, values := b.heads(qkv, angles, w)
	byHead := func(x *Node) *Node { return Reshape(x, tokens, b.KVHeads, b.HeadDim) }
	keys, values = contain(byHead(keys), byHead(values)) // [T, K, E]
	flat := func(x *Node) *Node { return Reshape(x, tokens, b.KVHeads*b.HeadDim) }
	own := b.attendOwn(q, flat(keys), flat(values), v)
	if keep == nil {
		return ConvertDType(own.mixed, b.products)
	}
	fresh := Reshape(Concatenate([]*Node{keys, values}, -1), tokens, b.KVHeads*2*b.HeadDim)
	context := keep(fresh)
	if b.loops {
		return b.merge(own, b.attendLoop(q, context, v))
	}
	return b.merge(own, b.attendContext(q, context.all(), v))
}

// attendOwn is the attention of every token, q [T, H·E], to the step's tokens that it sees, k, v [T, K·E].
func (b banded) attendOwn(q, k, v *Node, seen view) partial {
	band := bandOf(seen.tokens(), seen.length)
	if band.batched {
		return b.attendBatch(q, k, v, seen, band.block)
	}
	k, v = b.headsFirst(k), b.headsFirst(v) // [K, T, E]
	var parts []partial
	for from := 0; from < seen.tokens(); from += band.block {
		first, end := band.keys(from, seen.tokens(), seen.length)
		part, run := AxisRange(from, end), AxisRange(first, end)
		start := Slice(seen.start(), part)
		g, dims := q.Graph(), []int{end - from, end - first}
		key, token := AddScalar(iota(g, 1, dims...), first), AddScalar(iota(g, 0, dims...), from)
		sees := LogicalAnd(GreaterOrEqual(key, BroadcastToDims(ExpandDims(start, -1), dims...)), LessOrEqual(key, token))
		parts = append(parts, b.attendBlock(Slice(q, part), SliceAxis(k, 1, run), SliceAxis(v, 1, run), sees))
	}
	return together(parts)
}

// attendBatch is attendOwn in blocks that all have as many keys, those of the block itself and of the one before it.
func (b banded) attendBatch(q, k, v *Node, seen view, block int) partial {
	g, tokens := q.Graph(), seen.tokens()
	blocks, groups := tokens/block, b.Heads/b.KVHeads
	cut := func(x *Node) *Node { return Reshape(x, blocks, block, -1) }
	pairs := func(x *Node) *Node { // [T, K·E] -> [N·K, 2B, E]
		x = cut(x)
		before := Concatenate([]*Node{SliceAxis(x, 0, AxisRange(0, 1)), SliceAxis(x, 0, AxisRange(0, blocks-1))}, 0)
		x = Reshape(Concatenate([]*Node{before, x}, 1), blocks, 2*block, b.KVHeads, b.HeadDim)
		return Reshape(TransposeAllDims(x, 0, 2, 1, 3), blocks*b.KVHeads, 2*block, b.HeadDim)
	}
	queries := TransposeAllDims(Reshape(q, blocks, block, b.Heads, b.HeadDim), 0, 2, 1, 3)
	queries = Reshape(queries, blocks*b.KVHeads, groups*block, b.HeadDim)

	// The first block has none before it: what stands there has keys below 0, which no token sees.
	dims := []int{blocks, block, 2 * block}
	key := AddScalar(Add(MulScalar(iota(g, 0, dims...), block), iota(g, 2, dims...)), -block)
	token := Add(MulScalar(iota(g, 0, dims...), block), iota(g, 1, dims...))
	start := BroadcastToDims(Reshape(seen.start(), blocks, block, 1), dims...)
	sees := LogicalAnd(GreaterOrEqual(key, start), LessOrEqual(key, token))
	sees = BroadcastToDims(Reshape(sees, blocks, 1, 1, block, 2*block), blocks, b.KVHeads, groups, block, 2*block)
	mixed, mass := b.mix(queries, pairs(k), pairs(v), Reshape(sees, blocks*b.KVHeads, groups*block, 2*block))
	packed := func(x *Node) *Node { // [N·K, G·B, d] -> [T, H·d]
		return Reshape(TransposeAllDims(Reshape(x, blocks, b.Heads, block, -1), 0, 2, 1, 3), tokens, -1)
	}
	return partial{packed(mixed), packed(mass)}
}

// attendContext is the attention of every token, q [T, H·E], to the context's keys that it sees, both [C, K·2E]. The scores
// of a block are all that exists at a time: the longer the context, the smaller the block.
func (b banded) attendContext(q, both *Node, seen view) partial {
	tokens, size := seen.tokens(), both.Shape().Dim(0)
	keys, values := b.keysOf(both)
	from, to := seen.from(), seen.to()
	var parts []partial
	for block, at := b.blockTokens(tokens, size), 0; at < tokens; at += block {
		part := AxisRange(at, at+block)
		wide := func(x *Node) *Node { return BroadcastToDims(ExpandDims(Slice(x, part), -1), block, size) }
		key := iota(q.Graph(), 1, block, size)
		sees := LogicalAnd(GreaterOrEqual(key, wide(from)), LessThan(key, wide(to)))
		parts = append(parts, b.attendBlock(Slice(q, part), keys, values, sees))
	}
	return together(parts)
}

// blockTokens is how many tokens attend to a context at a time: half as many as long as their scores are too large, but not
// fewer than minBlock, as every block reads all keys and values again.
func (b banded) blockTokens(tokens, keys int) int {
	for b.Heads*tokens*keys*4 > b.scoreBytes && tokens >= 2*b.minBlock && tokens%2 == 0 {
		tokens /= 2
	}
	return tokens
}

// attendBlock is the attention of some tokens q [Q, H·E] to keys and values [K, n, E], of which sees [Q, n] tells.
func (b banded) attendBlock(q, keys, values, sees *Node) partial {
	tokens := q.Shape().Dim(0)
	mixed, mass := b.mix(b.byKVHead(q), keys, values, b.ofGroups(sees)) // [K, G·Q, …]
	return partial{b.tokensFirst(mixed, tokens), b.tokensFirst(mass, tokens)}
}

// byKVHead lays queries [Q, H·E] out by the head of keys and values that they read, [K, G·Q, E].
func (b banded) byKVHead(q *Node) *Node { return Reshape(b.headsFirst(q), b.KVHeads, -1, b.HeadDim) }

// ofGroups gives all heads what tokens see, [Q, n], in the layout of byKVHead: [K, G·Q, n].
func (b banded) ofGroups(sees *Node) *Node {
	tokens, keys, groups := sees.Shape().Dim(0), sees.Shape().Dim(1), b.Heads/b.KVHeads
	sees = BroadcastToDims(Reshape(sees, 1, 1, tokens, keys), b.KVHeads, groups, tokens, keys)
	return Reshape(sees, b.KVHeads, groups*tokens, keys)
}

// tokensFirst lays [K, G·Q, d] out as [Q, H·d]: the way back from byKVHead.
func (b banded) tokensFirst(x *Node, tokens int) *Node {
	return Reshape(TransposeAllDims(Reshape(x, b.Heads, tokens, -1), 1, 0, 2), tokens, -1)
}

// headsFirst lays [T, h·E] out as [h, T, E].
func (b banded) headsFirst(x *Node) *Node {
	return TransposeAllDims(Reshape(x, x.Shape().Dim(0), -1, b.HeadDim), 1, 0, 2)
}

// mix is softmax(q·k)·v over the keys that sees [N, Q, keys] lets each query see: q [N, Q, E], k, v [N, keys, E]. It gives
// the mixed values [N, Q, E], and the log of the weights' sum before normalising, [N, Q, 1]. A query that sees no key
// gets an even mix of all values and a mass of about unseen, which no other partial notices.
func (b banded) mix(q, k, v, sees *Node) (mixed, mass *Node) {
	scores := float32s(dotGeneral(q, []int{2}, []int{0}, k, []int{2}, []int{0})) // [N, Q, keys]
	scores = Where(sees, scores, scalarLike(scores, unseen))
	top := ReduceAndKeep(scores, ReduceMax, -1)
	weights := Exp(Sub(scores, top))
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	product := dotGeneral(ConvertDType(weights, b.products), []int{2}, []int{0}, v, []int{1}, []int{0})
	return Div(float32s(product), sum), Add(top, Log(sum))
}

// together is the attention of all tokens, of that of blocks of them.
func together(parts []partial) partial {
	var mixed, mass []*Node
	for _, p := range parts {
		mixed, mass = append(mixed, p.mixed), append(mass, p.mass)
	}
	return partial{Concatenate(mixed, 0), Concatenate(mass, 0)}
}

// merge joins attention over two disjoint sets of keys: [T, H·E] in the dtype of products. Where a set has no share, nothing
// of it counts, even if the mix of its values overflowed.
func (b banded) merge(x, y partial) *Node {
	share := ExpandDims(Logistic(Sub(x.mass, y.mass)), -1) // exp(x) / (exp(x) + exp(y)), [T, H, 1]
	tokens := share.Shape().Dim(0)
	of := func(mixed, share *Node) *Node {
		mixed = Reshape(mixed, tokens, b.Heads, b.HeadDim)
		share = BroadcastToDims(share, mixed.Shape().Dimensions...)
		return Where(Equal(share, ZerosLike(share)), ZerosLike(mixed), Mul(mixed, share))
	}
	mixed := Add(of(x.mixed, share), of(y.mixed, OneMinus(share)))
	return Reshape(ConvertDType(mixed, b.products), tokens, b.Heads*b.HeadDim)
}
