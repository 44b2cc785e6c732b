package model

import (
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph" //nolint:staticcheck // the forward pass reads as formulas
)

// Cascade attention. A row's tokens see two runs of keys: the step's shared prefix, of which each token sees a leading
// part, and the row's own tokens up to itself. Each run gives a partial softmax (maximum, sum, weighted values); merging
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

// prefixKV are one block's prefix keys and values, [P, K, E] in the dtype of products.
type prefixKV struct{ keys, values *Node }

// partial is attention to some of the keys, comparable with others through weight.
type partial struct {
	mean   *Node // [T, K, G, E] softmax(score)·value, in the dtype of products
	weight *Node // [T, K, G, 1] log of the sum of exp(score), float32
}

const unseen = -1e30 // the score of a key that a query does not see; finite, so that no NaN can arise

// attend computes softmax(q·k/sqrt(E))·v for every token: q [T, H, E], scaled by 1/sqrt(E), k, v [T, K, E] -> [T, H·E].
func (n network) attend(q, k, v *Node, seen sight, kept prefixKV) (*Node, prefixKV) {
	tokens := q.Shape().Dim(0)
	q = Reshape(q, tokens, n.KVHeads, n.Heads/n.KVHeads, n.HeadDim)
	k, v = contain(k, v)
	out := n.attendOwn(q, k, v, seen)
	var prefix prefixKV
	if seen.prefix > 0 {
		prefix = prefixKV{
			keys:   gatherRows(Concatenate([]*Node{kept.keys, k}, 0), seen.gathered),
			values: gatherRows(Concatenate([]*Node{kept.values, v}, 0), seen.gathered),
		}
		out = n.merge(out, n.attendPrefix(q, prefix, seen))
	}
	return Reshape(out.mean, tokens, n.Heads*n.HeadDim), prefix
}

// contain keeps a token whose values overflowed from those that do not see it. Their weight for it is 0, but 0·NaN is NaN,
// so its values become 0, and its keys NaN: whoever does see it gets that through the score.
func contain(k, v *Node) (*Node, *Node) {
	broken := ReduceAndKeep(Sub(v, v), ReduceSum, -1) // 0 or, if a value is NaN or infinite, NaN
	return Add(k, broken), Where(IsFinite(v), v, ZerosLike(v))
}

// attendOwn is each row's causal attention to itself, on rows padded to [R, L].
func (n network) attendOwn(q, k, v *Node, seen sight) partial {
	r, l, e := seen.rows, seen.length, n.HeadDim
	groups := n.Heads / n.KVHeads
	q = Reshape(gatherRows(q, seen.slots), r, l, n.KVHeads, groups, e)
	k = Reshape(gatherRows(k, seen.slots), r, l, n.KVHeads, e)
	v = Reshape(gatherRows(v, seen.slots), r, l, n.KVHeads, e)

	scores := DotGeneral(q, []int{4}, []int{0, 2}, k, []int{3}, []int{0, 2})
	scores.AssertDims(r, n.KVHeads, l, groups, l)
	g := q.Graph()
	causal := LessOrEqual(iota(g, 4, 1, 1, l, 1, l), iota(g, 2, 1, 1, l, 1, l))
	p := n.softmax(scores, causal, func(weights *Node) *Node {
		return DotGeneral(weights, []int{4}, []int{0, 1}, v, []int{1}, []int{0, 2}) // [R, K, L, G, E]
	})

	// Back to packed tokens; a token of the prefix has no row and takes nothing from here.
	packed := func(x *Node) *Node {
		x = TransposeAllDims(x, 0, 2, 1, 3, 4) // [R, L, K, G, ·]
		return gatherRows(Reshape(x, r*l, n.KVHeads, groups, -1), seen.places)
	}
	p = partial{packed(p.mean), packed(p.weight)}
	if seen.prefix > 0 {
		belongs := Reshape(NotEqual(seen.own, ZerosLike(seen.own)), -1, 1, 1, 1)
		p.weight = Where(BroadcastToDims(belongs, p.weight.Shape().Dimensions...), p.weight, scalarLike(p.weight, unseen))
		p.mean = Where(BroadcastToDims(belongs, p.mean.Shape().Dimensions...), p.mean, ZerosLike(p.mean)) // it may be the NaN of a row
	}
	return p
}

// attendPrefix is every token's attention to the leading prefix keys it sees, on packed tokens.
func (n network) attendPrefix(q *Node, prefix prefixKV, seen sight) partial {
	tokens, groups := q.Shape().Dim(0), n.Heads/n.KVHeads
	scores := DotGeneral(q, []int{3}, []int{1}, prefix.keys, []int{2}, []int{1})
	scores.AssertDims(n.KVHeads, tokens, groups, seen.prefix)
	visible := LessThan(iota(q.Graph(), 3, 1, tokens, 1, seen.prefix), Reshape(seen.visible, 1, tokens, 1, 1))
	p := n.softmax(scores, visible, func(weights *Node) *Node {
		return DotGeneral(weights, []int{3}, []int{0}, prefix.values, []int{0}, []int{1}) // [K, T, G, E]
	})
	packed := func(x *Node) *Node { return TransposeAllDims(x, 1, 0, 2, 3) }
	return partial{packed(p.mean), packed(p.weight)}
}

// softmax turns scores [..., keys] into a partial over their last axis; apply multiplies weights by the values.
// A query that sees no key gets an even mean of all and a weight of about unseen, which no other partial notices.
func (n network) softmax(scores, mask *Node, apply func(weights *Node) *Node) partial {
	scores = float32s(scores)
	mask = BroadcastToDims(mask, scores.Shape().Dimensions...)
	scores = Where(mask, scores, scalarLike(scores, unseen))
	top := ReduceAndKeep(scores, ReduceMax, -1)
	weights := Exp(Sub(scores, top))
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	mean := Div(float32s(apply(ConvertDType(weights, n.products))), sum)
	return partial{mean: ConvertDType(mean, n.products), weight: Add(Log(sum), top)}
}

// merge joins the partials of two disjoint sets of keys.
func (n network) merge(a, b partial) partial {
	share := Logistic(Sub(a.weight, b.weight)) // exp(a) / (exp(a) + exp(b))
	mean := Add(Mul(float32s(a.mean), share), Mul(float32s(b.mean), OneMinus(share)))
	return partial{mean: ConvertDType(mean, n.products)}
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
