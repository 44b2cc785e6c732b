package model

import (
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph" // the forward pass reads as formulas
)

// Cascade attention. A row's tokens see two runs of keys: the step's shared prefix, of which each token sees a leading
// part, and the row's own tokens up to itself. Each run gives a softmax of its own and the mass of its scores; merging
// the two is exact, since softmax over a union is the sum of rescaled parts (the identity behind FlashAttention,
// arXiv:2205.14135, section 3.1).
//
// The prefix run is computed on packed tokens, all against one [P] run of keys. The prefix's own tokens, when a step
// computes them, are queries of the same kind: token i sees i+1 of them. So prefixes of any length can be computed in
// slices, and a row's scores do not depend on which other rows share its step.
//
// The own run needs rows side by side, padded to [R, L]. A query sees only keys before it, so padding at the end of a row
// is never seen and needs no mask.

// sight says which tokens see which: all indexes are int32.
type sight struct {
	slots    *Node // [R·L] token at each place of the padded rows; any token at padding
	places   *Node // [T] place of each token in the padded rows; 0 for a token of the prefix
	own      *Node // [T] 1 if the token belongs to a row, 0 if to the prefix
	visible  *Node // [T] how many leading prefix keys the token sees
	gathered *Node // [P] where each prefix key comes from: p < P is the kept key p, P+t is this step's token t
	rows     int   // R; 0 if the step has no rows of its own
	length   int   // L
	prefix   int   // P; 0 if the step has no prefix
}

// prefixKV are one block's prefix keys and values, [P, K·E] in the dtype of products.
type prefixKV struct{ keys, values *Node }

// partial is attention over some of the keys: a complete softmax, and what it takes to join it with others.
type partial struct {
	mixed *Node // [T, H·E] float32: softmax(scores) · values over these keys; rounded once, when joined
	mass  *Node // [T, H] float32: log of the sum of exp(score) over these keys; unseen if there is none
}

const unseen = -1e30 // the score of a key that a query does not see; finite, so that no NaN can arise

// attend computes softmax(q·k)·v for every token, all in the dtype of products: q [T, H·E], scaled already, k, v
// [T, K·E] -> [T, H·E].
func (n network) attend(q, k, v *Node, seen sight, kept prefixKV) (*Node, prefixKV) {
	k, v = contain(k, v)
	own := n.attendOwn(q, k, v, seen)
	if seen.prefix == 0 {
		return own.mixed, prefixKV{}
	}
	extend := func(kept, x *Node) *Node {
		return gatherRows(Concatenate([]*Node{kept, x}, 0), seen.gathered)
	}
	prefix := prefixKV{extend(kept.keys, k), extend(kept.values, v)}
	return n.merge(own, n.attendPrefix(q, prefix, seen)), prefix
}

// contain keeps a token whose values overflowed from those that do not see it. Their weight for it is 0, but 0·NaN is NaN,
// so its values become 0, and its keys NaN: whoever does see it gets that through the score.
func contain(k, v *Node) (*Node, *Node) {
	broken := ReduceAndKeep(Sub(v, v), ReduceSum, -1) // 0 or, if a value is NaN or infinite, NaN
	return Add(k, broken), Where(IsFinite(v), v, ZerosLike(v))
}

// attendOwn is each row's causal attention to itself, on rows padded to [R, L], a block of queries after the other: a block
// takes the keys up to its own end, so that most of the pairs that no query sees are never computed.
func (n network) attendOwn(q, k, v *Node, seen sight) partial {
	r, l := seen.rows, seen.length
	rows := func(x *Node) *Node { return n.byRow(gatherRows(x, seen.slots), r, n.HeadDim) }
	q, k, v = rows(q), rows(k), rows(v) // [R, H, L, E], [R, K, L, E]
	var mixed, masses []*Node
	for from, block := 0, queryBlock(l, n.tile); from < l; from += block {
		m, mass := n.attendCausal(SliceAxis(q, 2, AxisRange(from, from+block)),
			SliceAxis(k, 2, AxisRange(0, from+block)), SliceAxis(v, 2, AxisRange(0, from+block)))
		mixed, masses = append(mixed, m), append(masses, mass)
	}

	// Back to packed tokens; a token of the prefix has no row and takes nothing from here.
	packed := func(blocks []*Node) *Node { return gatherRows(n.byPlace(Concatenate(blocks, 2)), seen.places) }
	own := partial{packed(mixed), packed(masses)}
	if seen.prefix > 0 {
		belongs := ExpandDims(NotEqual(seen.own, ZerosLike(seen.own)), -1)
		own.mass = Where(BroadcastToDims(belongs, own.mass.Shape().Dimensions...), own.mass, scalarLike(own.mass, unseen))
		own.mixed = Where(BroadcastToDims(belongs, own.mixed.Shape().Dimensions...), own.mixed, ZerosLike(own.mixed)) // it may be the NaN of a row
	}
	return own
}

// A row's queries attend in up to mostBlocks blocks of at least shortestBlock: more of either computes fewer pairs that no
// query sees, in smaller products.
const (
	mostBlocks    = 4
	shortestBlock = 128
)

// queryBlock is how many of a row's L queries attend at a time: half as many as long as that leaves whole tiles of at
// least shortestBlock queries and no more than mostBlocks blocks.
func queryBlock(length, tile int) int {
	block := length
	for blocks := 1; blocks < mostBlocks && halves(block, shortestBlock, tile); blocks *= 2 {
		block /= 2
	}
	return block
}

// attendCausal is the attention of the last queries of rows, q [R, H, Q, E], to keys and values [R, K, L, E] that end where
// they end: mixed values [R, H, Q, E] and mass [R, H, Q, 1].
func (n network) attendCausal(q, k, v *Node) (mixed, mass *Node) {
	r, queries, keys, groups := q.Shape().Dim(0), q.Shape().Dim(2), k.Shape().Dim(2), n.Heads/n.KVHeads
	g := q.Graph()
	causal := LessOrEqual(iota(g, 2, groups, queries, keys), AddScalar(iota(g, 1, groups, queries, keys), keys-queries))
	mixed, mass = n.softmax(
		DotGeneral(Reshape(q, r, n.KVHeads, groups*queries, n.HeadDim), []int{3}, []int{0, 1}, k, []int{3}, []int{0, 1}), // [R, K, G·Q, L]
		Reshape(causal, 1, 1, groups*queries, keys),
		func(weights *Node) *Node {
			return DotGeneral(weights, []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1}) // [R, K, G·Q, E]
		})
	return Reshape(mixed, r, n.Heads, queries, n.HeadDim), Reshape(mass, r, n.Heads, queries, 1)
}

// attendPrefix is every token's attention to the leading prefix keys it sees, on packed tokens. It goes over blocks of
// tokens, so that the scores of one block are all that exists at a time: the longer the prefix, the smaller the block.
func (n network) attendPrefix(q *Node, prefix prefixKV, seen sight) partial {
	tokens := q.Shape().Dim(0)
	keys := Squeeze(n.byRow(prefix.keys, 1, n.HeadDim), 0)     // [K, P, E]
	values := Squeeze(n.byRow(prefix.values, 1, n.HeadDim), 0) // [K, P, E]
	var mixed, masses []*Node
	for block, from := n.blockTokens(tokens, seen.prefix), 0; from < tokens; from += block {
		part := AxisRange(from, from+block)
		m, mass := n.attendBlock(Slice(q, part), keys, values, Slice(seen.visible, part))
		mixed, masses = append(mixed, m), append(masses, mass)
	}
	return partial{Concatenate(mixed, 0), Concatenate(masses, 0)}
}

// blockTokens is how many tokens attend to a prefix at a time: half as many as long as their scores are too large, but not
// fewer than minBlock, as every block reads all keys and values again.
func (n network) blockTokens(tokens, keys int) int {
	for n.Heads*tokens*keys*4 > n.scoreBytes && halves(tokens, n.minBlock, n.tile) {
		tokens /= 2
	}
	return tokens
}

// halves tells whether half a block is whole tiles of at least as many tokens.
func halves(block, least, tile int) bool { return block >= 2*least && block%(2*tile) == 0 }

// attendBlock is the attention of some tokens q [T, H·E] to [K, P, E] keys: mixed values [T, H·E] and mass [T, H].
func (n network) attendBlock(q, keys, values, visible *Node) (mixed, mass *Node) {
	tokens, size, groups := q.Shape().Dim(0), keys.Shape().Dim(1), n.Heads/n.KVHeads
	q = Reshape(n.byRow(q, 1, n.HeadDim), n.KVHeads, groups*tokens, n.HeadDim)
	sees := LessThan(iota(q.Graph(), 2, groups, tokens, size), BroadcastToDims(Reshape(visible, 1, tokens, 1), groups, tokens, size))
	mixed, mass = n.softmax(
		DotGeneral(q, []int{2}, []int{0}, keys, []int{2}, []int{0}), // [K, G·T, P]
		Reshape(sees, 1, groups*tokens, size),
		func(weights *Node) *Node {
			return DotGeneral(weights, []int{2}, []int{0}, values, []int{1}, []int{0}) // [K, G·T, E]
		})
	packed := func(x *Node) *Node { return n.byPlace(Reshape(x, 1, n.Heads, tokens, -1)) }
	return packed(mixed), packed(mass)
}

// softmax takes scores [..., keys] over their last axis; apply multiplies weights by the values. It gives the mixed
// values, and the log of the weights' sum before normalising. A query that sees no key gets an even mix of all values and
// a mass of about unseen, which no other partial notices.
func (n network) softmax(scores, mask *Node, apply func(weights *Node) *Node) (mixed, mass *Node) {
	scores = float32s(scores)
	mask = BroadcastToDims(mask, scores.Shape().Dimensions...)
	scores = Where(mask, scores, scalarLike(scores, unseen))
	top := ReduceAndKeep(scores, ReduceMax, -1)
	weights := Exp(Sub(scores, top))
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	mixed = Div(float32s(apply(ConvertDType(weights, n.products))), sum)
	return mixed, Add(top, Log(sum))
}

// merge joins attention over two disjoint sets of keys: [T, H·E].
func (n network) merge(a, b partial) *Node {
	share := Logistic(Sub(n.byHead(a.mass, n.Heads), n.byHead(b.mass, n.Heads))) // exp(a) / (exp(a) + exp(b))
	mixed := Add(Mul(float32s(n.byHead(a.mixed, n.Heads)), share), Mul(float32s(n.byHead(b.mixed, n.Heads)), OneMinus(share)))
	return n.byToken(ConvertDType(mixed, n.products))
}

// gatherRows picks x[i] for every i of indexes: [N, ...], [M] -> [M, ...].
func gatherRows(x, indexes *Node) *Node {
	dims := append([]int{indexes.Shape().Dim(0)}, x.Shape().Dimensions[1:]...)
	flat := Reshape(x, x.Shape().Dim(0), -1)
	return Reshape(Gather(flat, ExpandDims(indexes, -1)), dims...)
}

func scalarLike(x *Node, value float64) *Node {
	return BroadcastToDims(Scalar(x.Graph(), dtypes.Float32, value), x.Shape().Dimensions...)
}
