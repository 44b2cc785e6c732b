package mosaic

import (
	"slices"

	"scored/model/kernel"
)

// Attend is the kernel that attends: see package kernel.
func Attend(s Shape) Kernel {
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Blocks().Tokens
	blocks := s.Tokens / rows
	queries := window{kind: array("bf16", rows, group*e), block: func(_ *text, g, i value) (value, value) { return i, g }}
	all := func(n int) window {
		return window{kind: array("bf16", n, 2*e), block: func(t *text, g, _ value) (value, value) { return t.whole("i32", 0), g }}
	}
	windows := []window{queries, all(s.Tokens)}
	if s.Context > 0 {
		windows = append(windows, all(s.Context))
	}
	windows = append(windows, window{kind: array("i32", 3, rows), block: func(t *text, _, i value) (value, value) { return t.whole("i32", 0), i }})
	windows = append(windows, s.turning(rows, func(_, i value) value { return i })...)
	windows = append(windows, queries)
	body := module("attend", [2]int{s.KVHeads, blocks}, []kind{array("i32", 3*blocks)}, windows, s.attend)

	pairs := s.Tokens * (s.Context + ownBlocks*rows)
	return Kernel{Name: "attend", Body: body, FastMemory: s.fastMemory(), Cost: Cost{
		Flops: 4 * s.Heads * e * pairs, Transcendental: s.Heads * pairs,
		BytesAccessed: 2*(2*s.Tokens*s.Heads*e+(s.Tokens+s.Context)*s.KVHeads*2*e) + s.KVHeads*s.Tokens*(2*e*4+3*4),
	}}
}

// attend is the body of Attend for key-value head g and block i of tokens.
func (s Shape) attend(t *text, _, i value, whole, in []value) {
	spans, queries, keys := whole[0], in[0], in[1]
	context := in[2] // if there is one
	if s.Context > 0 {
		in = in[1:]
	}
	sight, weight, angles, out := in[2], in[3], in[4], in[5]
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Blocks().Tokens

	// The group's heads one below the other are queries of the same keys.
	top, turner, parts := t.whole("index", 0), s.turner(t, weight, angles, rows), make([]value, group)
	for h := range parts {
		parts[h] = t.bfloat16s(s.turn(t, t.load(queries, top, rows, h*e, e), turner))
	}
	f := flash{Shape: s, text: t, queries: t.beside(0, parts...)}
	each := func(x value) value { // one number of a token for all heads of the group, [1, G·rows]
		return t.beside(1, slices.Repeat([]value{x}, group)...)
	}
	seen := func(n int) value { return each(t.load(sight, t.whole("index", n), 1, 0, rows)) }
	span := func(n int) value {
		return t.op(scalar("i32"), "memref.load", "", spans, t.index(t.add(i, t.whole("i32", n*s.Tokens/rows)), 1))
	}
	next := t.add(i, t.whole("i32", 1))

	state := f.begin()
	if s.Context > 0 {
		from := seen(0)
		state = f.over(span(0), span(1), source{context, s.Blocks().Context, from, t.sub(seen(1), from)}, state)
	}
	start := seen(2)
	after := t.add(t.spread(t.mul(i, t.whole("i32", rows)), 1, group*rows), each(t.add(t.count(1, 1, rows), t.spread(t.whole("i32", 1), 1, rows))))
	state = f.over(span(2), next, source{keys, rows, start, t.sub(after, start)}, state)
	mixed := t.bfloat16s(t.transpose(t.div(state[2], state[1]))) // [G·rows, E]
	for h := range group {
		t.store(t.part(mixed, h*rows, rows, 0, e), out, h*e)
	}
}

// flash is attention over blocks of keys, one after the other. Scores stand keys down and queries across, so that a query's
// numbers, its greatest score and the sum of its weights, lie in a lane each, and no sum goes across lanes.
type flash struct {
	Shape
	*text
	queries value // [Q, E] bfloat16
}

// source is where blocks of rows keys and values [N, 2E] come from, and what each query sees of them: count from first
// on, both [1, Q].
type source struct {
	keys         value
	rows         int
	first, count value
}

// begin is the state before the first key: the greatest score [1, Q], rounded up, the weights' sum [1, Q], the weighted values [E, Q].
func (f flash) begin() []value {
	q := f.queries.dims[0]
	return []value{f.filled(kernel.Before, "f32", 1, q), f.filled(0, "f32", 1, q), f.filled(0, "f32", f.HeadDim, q)}
}

// over goes on over blocks first … last-1 of a source.
func (f flash) over(first, last value, of source, state []value) []value {
	e, q, rows := f.HeadDim, f.queries.dims[0], of.rows
	return f.loop(first, last, state, func(j value, state []value) []value {
		greatest, sum, mixed := state[0], state[1], state[2]
		at := f.index(j, rows)
		keys, values := f.load(of.keys, at, rows, 0, e), f.load(of.keys, at, rows, e, e)
		scores := f.product(keys, 1, f.queries, 1) // [rows, Q]
		// A query sees the keys that are less than count behind its first: a key before it is, without a sign, a very large number.
		behind := f.sub(f.count(0, rows, q), f.sub(of.first, f.spread(f.mul(j, f.whole("i32", rows)), 1, q)))
		scores = f.choose(f.compare(lessUnsigned, behind, of.count), scores, f.filled(kernel.Unseen, "f32", rows, q))
		next := f.max(greatest, f.ceil(f.down("maximumf", kernel.Unseen, scores)))
		weights := f.exp2(f.sub(scores, next))
		shrink := f.exp2(f.sub(greatest, next))
		sum = f.add(f.mul(sum, shrink), f.down("add", 0, weights))
		mixed = f.add(f.mul(mixed, shrink), f.product(values, 0, f.bfloat16s(weights), 0))
		return []value{next, sum, mixed}
	})
}
