package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
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
	prefix := prefixKV{extend(kept.keys, k, seen.gathered), extend(kept.values, v, seen.gathered)}
	own.mass = ofRows(own.mass, scalarLike(own.mass, unseen), seen)
	var mixed []*Node
	for _, g := range n.groups() {
		part := partial{n.cut(own.mixed, g.query, g.queries), SliceAxis(own.mass, 1, AxisRange(g.query, g.query+g.queries))}
		part.mixed = ofRows(part.mixed, ZerosLike(part.mixed), seen) // it may be the NaN of a row; a TPU would copy it whole
		mixed = append(mixed, n.merge(part, n.attendPrefix(n.cut(q, g.query, g.queries),
			prefixKV{n.cut(prefix.keys, g.key, g.keys), n.cut(prefix.values, g.key, g.keys)}, seen)))
	}
	return Concatenate(mixed, 1), prefix
}

// extend puts this step's tokens among what is kept of a prefix's: [P, N], [T, N] -> [P, N]. See sight.gathered.
func extend(kept, x, gathered *Node) *Node {
	token := AddScalar(gathered, -kept.Shape().Dim(0)) // negative where the kept one stays
	isNew := ExpandDims(GreaterOrEqual(token, ZerosLike(token)), -1)
	return Where(BroadcastToDims(isNew, kept.Shape().Dimensions...), gatherRows(x, Max(token, ZerosLike(token))), kept)
}

// contain keeps a token whose values overflowed from those that do not see it. Their weight for it is 0, but 0·NaN is NaN,
// so its values become 0, and its keys NaN: whoever does see it gets that through the score.
func contain(k, v *Node) (*Node, *Node) {
	broken := ReduceAndKeep(Sub(v, v), ReduceSum, -1) // 0 or, if a value is NaN or infinite, NaN
	return Add(k, broken), Where(IsFinite(v), v, ZerosLike(v))
}

// attendOwn is each row's causal attention to itself, on rows padded to [R, L]. What a token of the prefix gets, which has no
// row, means nothing.
func (n network) attendOwn(q, k, v *Node, seen sight) partial {
	rows := func(x *Node) *Node { return Reshape(gatherRows(x, seen.slots), seen.rows, seen.length, -1) } // [R, L, n·E]
	q, k, v = rows(q), rows(k), rows(v)
	var mixed, masses []*Node
	for _, g := range n.groups() {
		m, mass := n.attendRows(n.byHead(n.cut(q, g.query, g.queries)), n.byHead(n.cut(k, g.key, g.keys)), n.byHead(n.cut(v, g.key, g.keys)))
		mixed, masses = append(mixed, byToken(m)), append(masses, byToken(mass))
	}

	packed := func(parts []*Node) *Node { // [R, L, ...] each -> [T, ...]
		return gatherRows(Reshape(Concatenate(parts, 2), seen.rows*seen.length, -1), seen.places)
	}
	return partial{packed(mixed), packed(masses)}
}

// ofRows keeps what tokens of rows have, [T, ...]; a token of the prefix has no row of its own and gets the other.
func ofRows(x, otherwise *Node, seen sight) *Node {
	belongs := ExpandDims(NotEqual(seen.own, ZerosLike(seen.own)), -1)
	return Where(BroadcastToDims(belongs, x.Shape().Dimensions...), x, otherwise)
}

// attendRows is the causal attention of rows q [R, H, L, E] to k, v [R, K, L, E]: mixed values [R, H, L, E] and mass
// [R, H, L, 1]. It goes over blocks of queries: a block takes the keys up to its own end, so that most of the pairs that
// no query sees are never computed.
func (n network) attendRows(q, k, v *Node) (mixed, mass *Node) {
	length := q.Shape().Dim(2)
	block := queryBlock(length)
	if n.headByHead {
		block = length // a TPU spends more on the ends of small products than they save
	}
	var parts, masses []*Node
	for from := 0; from < length; from += block {
		m, mass := n.attendCausal(SliceAxis(q, 2, AxisRange(from, from+block)),
			SliceAxis(k, 2, AxisRange(0, from+block)), SliceAxis(v, 2, AxisRange(0, from+block)))
		parts, masses = append(parts, m), append(masses, mass)
	}
	return Concatenate(parts, 2), Concatenate(masses, 2)
}

// A row's queries attend in up to mostBlocks blocks of at least shortestBlock: more of either computes fewer pairs that no
// query sees, in smaller products.
const (
	mostBlocks    = 4
	shortestBlock = 128
)

// queryBlock is how many of a row's L queries attend at a time: half as many as long as that leaves at least
// shortestBlock queries and no more than mostBlocks blocks.
func queryBlock(length int) int {
	block := length
	for blocks := 1; blocks < mostBlocks && halves(block, shortestBlock); blocks *= 2 {
		block /= 2
	}
	return block
}

// attendCausal is the attention of the last queries of rows, q [R, H, Q, E], to keys and values [R, K, L, E] that end where
// they end: mixed values [R, H, Q, E] and mass [R, H, Q, 1].
func (n network) attendCausal(q, k, v *Node) (mixed, mass *Node) {
	r, heads, queries, keys := q.Shape().Dim(0), q.Shape().Dim(1), q.Shape().Dim(2), k.Shape().Dim(2)
	groups := heads / k.Shape().Dim(1) // G
	g := q.Graph()
	causal := LessOrEqual(iota(g, 2, groups, queries, keys), AddScalar(iota(g, 1, groups, queries, keys), keys-queries))
	flat := func(x *Node, length int) *Node { return Reshape(x, -1, length, n.HeadDim) }
	mixed, mass = n.mix(flat(q, groups*queries), flat(k, keys), flat(v, keys), Reshape(causal, 1, groups*queries, keys)) // [R·K, G·Q, …]
	return Reshape(mixed, r, heads, queries, n.HeadDim), Reshape(mass, r, heads, queries, 1)
}

// attendPrefix is the attention of every token's heads q [T, h·E] to the leading prefix keys [P, k·E] it sees, on packed
// tokens. It goes over blocks of tokens, so that the scores of one block are all that exists at a time: the longer the
// prefix, the smaller the block.
func (n network) attendPrefix(q *Node, prefix prefixKV, seen sight) partial {
	tokens := q.Shape().Dim(0)
	byHead := func(x *Node) *Node { return Squeeze(n.byHead(ExpandDims(x, 0)), 0) }
	keys, values := byHead(prefix.keys), byHead(prefix.values) // [k, P, E]
	var mixed, masses []*Node
	for block, from := n.blockTokens(tokens, seen.prefix, q.Shape().Dim(1)/n.HeadDim), 0; from < tokens; from += block {
		part := AxisRange(from, from+block)
		m, mass := n.attendBlock(Slice(q, part), keys, values, Slice(seen.visible, part))
		mixed, masses = append(mixed, m), append(masses, mass)
	}
	return partial{Concatenate(mixed, 0), Concatenate(masses, 0)}
}

// blockTokens is how many tokens attend to a prefix at a time: half as many as long as their scores are too large, but not
// fewer than minBlock, as every block reads all keys and values again.
func (n network) blockTokens(tokens, keys, heads int) int {
	for heads*tokens*keys*4 > n.scoreBytes && halves(tokens, n.minBlock) {
		tokens /= 2
	}
	return tokens
}

// halves tells whether a block has halves, of at least so many tokens.
func halves(block, least int) bool { return block >= 2*least && block%2 == 0 }

// attendBlock is the attention of some tokens q [T, h·E] to [k, P, E] keys: mixed values [T, h·E] and mass [T, h].
func (n network) attendBlock(q, keys, values, visible *Node) (mixed, mass *Node) {
	tokens, heads, size := q.Shape().Dim(0), q.Shape().Dim(1)/n.HeadDim, keys.Shape().Dim(1)
	groups := heads / keys.Shape().Dim(0) // G
	q = Reshape(n.byHead(ExpandDims(q, 0)), -1, groups*tokens, n.HeadDim)
	sees := LessThan(iota(q.Graph(), 2, groups, tokens, size), BroadcastToDims(Reshape(visible, 1, tokens, 1), groups, tokens, size))
	mixed, mass = n.mix(q, keys, values, Reshape(sees, 1, groups*tokens, size)) // [k, G·T, …]
	packed := func(x *Node) *Node { return Squeeze(byToken(Reshape(x, 1, heads, tokens, -1)), 0) }
	return packed(mixed), packed(mass)
}

// mix is softmax(q·k)·v over the keys that mask [1, Q, keys] lets each query see: q [B, Q, E], k, v [B, keys, E]. It gives
// the mixed values [B, Q, E], and the log of the weights' sum before normalising, [B, Q, 1]. A query that sees no key
// gets an even mix of all values and a mass of about unseen, which no other partial notices.
func (n network) mix(q, k, v, mask *Node) (mixed, mass *Node) {
	scores := float32s(dotGeneral(q, []int{2}, []int{0}, k, []int{2}, []int{0})) // [B, Q, keys]
	mask = BroadcastToDims(mask, scores.Shape().Dimensions...)
	scores = Where(mask, scores, scalarLike(scores, unseen))
	top := ReduceAndKeep(scores, ReduceMax, -1)
	weights := Exp(Sub(scores, top))
	product := func(weights, v *Node) *Node { return dotGeneral(weights, []int{2}, []int{0}, v, []int{1}, []int{0}) }
	if n.headByHead && scores.Shape().Dim(-1) > longRun {
		// A TPU's product is 256 wide and a head 128: ones beside the values give the weights' sum in the same product.
		both := product(float32s(ConvertDType(weights, n.products)), float32s(Concatenate([]*Node{v, OnesLike(v)}, -1)))
		sum := SliceAxis(both, -1, AxisRange(n.HeadDim))
		return Div(SliceAxis(both, -1, AxisRange(0, n.HeadDim)), sum), Add(top, Log(SliceAxis(sum, -1, AxisRange(0, 1))))
	}
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	return Div(float32s(product(ConvertDType(weights, n.products), v)), sum), Add(top, Log(sum))
}

// longRun is how many keys' weights a TPU adds up across lanes sooner than it takes ones along in the product.
const longRun = 512

// merge joins attention over two disjoint sets of keys: [T, h·E].
func (n network) merge(a, b partial) *Node {
	share := ExpandDims(Logistic(Sub(a.mass, b.mass)), -1) // exp(a) / (exp(a) + exp(b)), [T, h, 1]
	tokens, heads := share.Shape().Dim(0), share.Shape().Dim(1)
	wide := func(x *Node) *Node { return Reshape(float32s(x), tokens, heads, n.HeadDim) }
	mixed := Add(Mul(wide(a.mixed), share), Mul(wide(b.mixed), OneMinus(share)))
	return Reshape(ConvertDType(mixed, n.products), tokens, heads*n.HeadDim)
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
