package model

import (
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// banded computes attention by operations of the graph, on any device. Each of the two
// runs of keys that a token attends to gives a softmax of its own and the log-sum-exp
// of its scores. Merging the two is exact, because softmax over a union is the sum of
// rescaled parts (the identity behind FlashAttention, arXiv:2205.14135, section 3.1).
//
// The own run: rows are packed one after the other, none longer than a bucket's Length.
// So a block of tokens attends to a band of the step's tokens that begins Length-1
// tokens before it, and a mask separates rows: see band.
//
// The context: one block of tokens after the other attends to all of it, under a mask.
// So a token's scores do not depend on the other tokens of its step.
type banded struct {
	decoder
	blocks scoreBlocks
	loops  bool // the device runs loops without the host: see attendLoop
}

// scoreBlocks says how many tokens attend to the context at a time.
type scoreBlocks struct {
	// bytes bounds the scores of a block, counted in float32.
	bytes int
	// least is how many tokens a block has at least, even if their scores take more
	// bytes: every block reads all keys and values again.
	least int
}

// scoreBytes are the bytes of usualBlocks: they stay in the fast memory of a TPU.
const scoreBytes = 64 << 20

func usualBlocks() scoreBlocks { return scoreBlocks{bytes: scoreBytes, least: 128} }

func (b banded) inputs(*parameters, shape) []*Node     { return nil }
func (b banded) pack(*layout, shape) []*tensors.Tensor { return nil }
func (b banded) transposed() bool                      { return false }
func (b banded) calls() int                            { return 0 }
func (b banded) checks([]plan.Bucket) []check          { return nil }

// partial is attention over some of the keys: a complete softmax, and what is needed to
// merge it with others.
type partial struct {
	// output [T, H·E] float32 is softmax(scores) · values over these keys. It is
	// rounded only when partials are merged.
	output *Node
	// logSum [T, H] float32 is the log-sum-exp of the scores; about unseen if there is
	// no key.
	logSum *Node
}

// attend implements attention.
func (b banded) attend(qkv, angles *Node, w layerWeights, v view,
	keep func(fresh *Node) contextKeys) *Node {
	tokens := qkv.Shape().Dim(0)
	q, keys, values := b.heads(qkv, angles, w)
	byHead := func(x *Node) *Node { return Reshape(x, tokens, b.KVHeads, b.HeadDim) }
	keys, values = contain(byHead(keys), byHead(values)) // [T, K, E]
	flat := func(x *Node) *Node { return Reshape(x, tokens, b.KVHeads*b.HeadDim) }
	own := b.attendOwn(q, flat(keys), flat(values), v)
	if keep == nil {
		return ConvertDType(own.output, b.products)
	}
	fresh := Reshape(Concatenate([]*Node{keys, values}, -1), tokens, b.KVHeads*2*b.HeadDim)
	context := keep(fresh)
	if b.loops {
		return b.merge(own, b.attendLoop(q, context, v))
	}
	return b.merge(own, b.attendContext(q, context.all(), v))
}

// attendOwn returns the attention of every token, q [T, H·E], to the step's tokens that
// it attends to, k, v [T, K·E].
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
		sees := LogicalAnd(GreaterOrEqual(key, BroadcastToDims(ExpandDims(start, -1), dims...)),
			LessOrEqual(key, token))
		parts = append(parts, b.attendBlock(Slice(q, part), SliceAxis(k, 1, run),
			SliceAxis(v, 1, run), sees))
	}
	return together(parts)
}

// attendBatch is attendOwn for blocks that all have the same number of keys: those of
// the block itself and of the one before it.
func (b banded) attendBatch(q, k, v *Node, seen view, block int) partial {
	g, tokens := q.Graph(), seen.tokens()
	blocks, groups := tokens/block, b.Heads/b.KVHeads
	cut := func(x *Node) *Node { return Reshape(x, blocks, block, -1) }
	pairs := func(x *Node) *Node { // [T, K·E] -> [N·K, 2B, E]
		x = cut(x)
		before := Concatenate([]*Node{SliceAxis(x, 0, AxisRange(0, 1)),
			SliceAxis(x, 0, AxisRange(0, blocks-1))}, 0)
		x = Reshape(Concatenate([]*Node{before, x}, 1), blocks, 2*block, b.KVHeads, b.HeadDim)
		return Reshape(TransposeAllDims(x, 0, 2, 1, 3), blocks*b.KVHeads, 2*block, b.HeadDim)
	}
	queries := TransposeAllDims(Reshape(q, blocks, block, b.Heads, b.HeadDim), 0, 2, 1, 3)
	queries = Reshape(queries, blocks*b.KVHeads, groups*block, b.HeadDim)

	// The first block has none before it: its first half holds keys below 0, which the
	// mask excludes.
	dims := []int{blocks, block, 2 * block}
	key := AddScalar(Add(MulScalar(iota(g, 0, dims...), block), iota(g, 2, dims...)), -block)
	token := Add(MulScalar(iota(g, 0, dims...), block), iota(g, 1, dims...))
	start := BroadcastToDims(Reshape(seen.start(), blocks, block, 1), dims...)
	sees := LogicalAnd(GreaterOrEqual(key, start), LessOrEqual(key, token))
	sees = BroadcastToDims(Reshape(sees, blocks, 1, 1, block, 2*block), blocks, b.KVHeads, groups,
		block, 2*block)
	output, logSum := b.softmaxValues(queries, pairs(k), pairs(v),
		Reshape(sees, blocks*b.KVHeads, groups*block, 2*block))
	packed := func(x *Node) *Node { // [N·K, G·B, d] -> [T, H·d]
		return Reshape(TransposeAllDims(Reshape(x, blocks, b.Heads, block, -1), 0, 2, 1, 3), tokens, -1)
	}
	return partial{packed(output), packed(logSum)}
}

// attendContext returns the attention of every token, q [T, H·E], to the context's keys
// that it attends to; both [C, K·2E] holds keys and values. Only the scores of one
// block exist at a time: the longer the context, the smaller the block.
func (b banded) attendContext(q, both *Node, seen view) partial {
	tokens, size := seen.tokens(), both.Shape().Dim(0)
	keys, values := b.keysOf(both)
	from, to := seen.from(), seen.to()
	var parts []partial
	for block, at := b.blockTokens(tokens, size), 0; at < tokens; at += block {
		part := AxisRange(at, at+block)
		wide := func(x *Node) *Node {
			return BroadcastToDims(ExpandDims(Slice(x, part), -1), block,
				size)
		}
		key := iota(q.Graph(), 1, block, size)
		sees := LogicalAnd(GreaterOrEqual(key, wide(from)), LessThan(key, wide(to)))
		parts = append(parts, b.attendBlock(Slice(q, part), keys, values, sees))
	}
	return together(parts)
}

// blockTokens returns how many of a step's tokens attend to a context of so many keys at
// a time. It halves their number while their scores take too many bytes.
func (b banded) blockTokens(tokens, keys int) int {
	for b.Heads*tokens*keys*4 > b.blocks.bytes && tokens >= 2*b.blocks.least && tokens%2 == 0 {
		tokens /= 2
	}
	return tokens
}

// attendBlock returns the attention of tokens q [Q, H·E] to keys and values [K, n, E]
// under the mask sees [Q, n].
func (b banded) attendBlock(q, keys, values, sees *Node) partial {
	tokens := q.Shape().Dim(0)
	output, logSum := b.softmaxValues(b.byKVHead(q), keys, values, b.ofGroups(sees)) // [K, G·Q, …]
	return partial{b.tokensFirst(output, tokens), b.tokensFirst(logSum, tokens)}
}

// byKVHead arranges queries [Q, H·E] by the key-value head that they read, [K, G·Q, E].
func (b banded) byKVHead(q *Node) *Node {
	return Reshape(b.headsFirst(q), b.KVHeads, -1, b.HeadDim)
}

// ofGroups repeats a mask [Q, n] for all heads, in the layout of byKVHead: [K, G·Q, n].
func (b banded) ofGroups(sees *Node) *Node {
	tokens, keys, groups := sees.Shape().Dim(0), sees.Shape().Dim(1), b.Heads/b.KVHeads
	sees = BroadcastToDims(Reshape(sees, 1, 1, tokens, keys), b.KVHeads, groups, tokens, keys)
	return Reshape(sees, b.KVHeads, groups*tokens, keys)
}

// tokensFirst arranges [K, G·Q, d] as [Q, H·d]. It is the inverse of byKVHead.
func (b banded) tokensFirst(x *Node, tokens int) *Node {
	return Reshape(TransposeAllDims(Reshape(x, b.Heads, tokens, -1), 1, 0, 2), tokens, -1)
}

// headsFirst arranges [T, h·E] as [h, T, E].
func (b banded) headsFirst(x *Node) *Node {
	return TransposeAllDims(Reshape(x, x.Shape().Dim(0), -1, b.HeadDim), 1, 0, 2)
}

// softmaxValues returns softmax(q·k)·v over the keys that the mask sees [N, Q, keys]
// allows each query: q [N, Q, E], k, v [N, keys, E] -> output [N, Q, E], and the
// log-sum-exp of the scores, [N, Q, 1]. A query without keys gets the mean of all
// values and a log-sum-exp of about unseen, so it has no weight when partials are
// merged.
func (b banded) softmaxValues(q, k, v, sees *Node) (output, logSum *Node) {
	scores := float32s(dotGeneral(q, []int{2}, []int{0}, k, []int{2}, []int{0})) // [N, Q, keys]
	scores = Where(sees, scores, scalarLike(scores, unseen))
	top := ReduceAndKeep(scores, ReduceMax, -1)
	weights := Exp(Sub(scores, top))
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	product := dotGeneral(ConvertDType(weights, b.products), []int{2}, []int{0}, v, []int{1}, []int{0})
	return Div(float32s(product), sum), Add(top, Log(sum))
}

// together concatenates the attention of blocks of tokens.
func together(parts []partial) partial {
	var output, logSum []*Node
	for _, p := range parts {
		output, logSum = append(output, p.output), append(logSum, p.logSum)
	}
	return partial{Concatenate(output, 0), Concatenate(logSum, 0)}
}

// merge joins attention over two disjoint sets of keys: [T, H·E] in the dtype of
// products. A set whose share is 0 adds nothing, even if its output overflowed.
func (b banded) merge(x, y partial) *Node {
	share := ExpandDims(Logistic(Sub(x.logSum, y.logSum)), -1) // exp(x) / (exp(x) + exp(y)), [T, H, 1]
	tokens := share.Shape().Dim(0)
	of := func(output, share *Node) *Node {
		output = Reshape(output, tokens, b.Heads, b.HeadDim)
		share = BroadcastToDims(share, output.Shape().Dimensions...)
		return Where(Equal(share, ZerosLike(share)), ZerosLike(output), Mul(output, share))
	}
	output := Add(of(x.output, share), of(y.output, OneMinus(share)))
	return Reshape(ConvertDType(output, b.products), tokens, b.Heads*b.HeadDim)
}
