package mosaic

import (
	"slices"

	"scored/model/kernel"
)

// Attend returns the kernel that computes attention: see package kernel. Its grid has a
// point for each key-value head and block of tokens. All keys and values of the head are
// in fast memory, those of the step and those of the context, and stay there for the
// head's blocks. The spans are in scalar memory, as they decide how far loops go.
func Attend(s Shape) Kernel {
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Blocks().Tokens
	blocks := s.Tokens / rows
	queries := window{kind: array("bf16", rows, group*e),
		block: func(_ *text, g, i value) (value, value) { return i, g }}
	all := func(n int) window {
		return window{kind: array("bf16", n, 2*e),
			block: func(t *text, g, _ value) (value, value) { return t.constant("i32", 0), g }}
	}
	windows := []window{queries, all(s.Tokens)}
	if s.Context > 0 {
		windows = append(windows, all(s.Context))
	}
	windows = append(windows, window{kind: array("i32", 3, rows),
		block: func(t *text, _, i value) (value, value) { return t.constant("i32", 0), i }})
	windows = append(windows, ropeWindows(e, rows, func(_, i value) value { return i })...)
	windows = append(windows, queries)
	body := module("attend", [2]int{s.KVHeads, blocks}, []kind{array("i32", 3*blocks)}, windows,
		s.attend)

	pairs := s.Tokens * (s.Context + ownBlocks*rows) // of a query and a key, at most
	return Kernel{Name: "attend", Body: body, FastMemory: s.fastMemory(), Cost: Cost{
		Flops: 4 * s.Heads * e * pairs, Transcendental: s.Heads * pairs,
		BytesAccessed: 2*(2*s.Tokens*s.Heads*e+(s.Tokens+s.Context)*s.KVHeads*2*e) +
			s.KVHeads*s.Tokens*(2*e*4+3*4),
	}}
}

// attend is the body of Attend for key-value head g and block i of tokens.
func (s Shape) attend(t *text, _, i value, resident, in []value) {
	spans, queries, keys := resident[0], in[0], in[1]
	context := in[2] // if there is one
	if s.Context > 0 {
		in = in[1:]
	}
	ranges, weight, angles, out := in[2], in[3], in[4], in[5]
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Blocks().Tokens

	// The heads of the group are stacked, because they are queries of the same keys.
	top, rope := t.constant("index", 0), loadRope(s, t, weight, angles, rows)
	parts := make([]value, group)
	for h := range parts {
		parts[h] = t.bfloat16s(rope.normRope(t.load(queries, top, rows, h*e, e)))
	}
	f := flash{Shape: s, text: t, queries: t.concat(0, parts...)}
	each := func(x value) value { // repeats a token's number for the heads of the group, [1, G·rows]
		return t.concat(1, slices.Repeat([]value{x}, group)...)
	}
	seen := func(n int) value { return each(t.load(ranges, t.constant("index", n), 1, 0, rows)) }
	span := func(n int) value {
		return t.op(scalar("i32"), "memref.load", "", spans,
			t.index(t.add(i, t.constant("i32", n*s.Tokens/rows)), 1))
	}
	next := t.add(i, t.constant("i32", 1))

	state := f.begin()
	// The keys of the context first, then the step's own: package kernel says why the
	// order changes no weight.
	if s.Context > 0 {
		from := seen(0)
		state = f.over(span(0), span(1), source{context, s.Blocks().Context, from,
			t.sub(seen(1), from)}, state)
	}
	start := seen(2)
	after := t.add(t.broadcast(t.mul(i, t.constant("i32", rows)), 1, group*rows),
		each(t.add(t.iota(1, 1, rows), t.broadcast(t.constant("i32", 1), 1, rows))))
	state = f.over(span(2), next, source{keys, rows, start, t.sub(after, start)}, state)
	output := t.bfloat16s(t.transpose(t.div(state[2], state[1]))) // [G·rows, E]
	for h := range group {
		t.store(t.slice(output, h*rows, rows, 0, e), out, h*e)
	}
}

// flash is attention over blocks of keys, one after the other. In scores, keys are rows
// and queries are columns. So a query's greatest score and sum of weights are in one
// lane, and no sum goes across lanes.
type flash struct {
	Shape
	*text
	queries value // [Q, E] bfloat16
}

// source is an array of keys and values [N, 2E], taken in blocks of rows, and the keys
// that each query attends to: count of them from first on, both [1, Q].
type source struct {
	keys         value
	rows         int
	first, count value
}

// begin returns the state before the first key: the greatest score [1, Q], rounded up,
// the sum of weights [1, Q], the weighted values [E, Q].
func (f flash) begin() []value {
	q := f.queries.dims[0]
	return []value{f.filled(kernel.Before, "f32", 1, q), f.filled(0, "f32", 1, q),
		f.filled(0, "f32", f.HeadDim, q)}
}

// over continues over blocks first … last-1 of a source.
func (f flash) over(first, last value, of source, state []value) []value {
	e, q, rows := f.HeadDim, f.queries.dims[0], of.rows
	return f.loop(first, last, state, func(j value, state []value) []value {
		greatest, sum, output := state[0], state[1], state[2]
		at := f.index(j, rows)
		keys, values := f.load(of.keys, at, rows, 0, e), f.load(of.keys, at, rows, e, e)
		scores := f.product(keys, 1, f.queries, 1) // [rows, Q]
		// A query attends to keys less than count behind its first. As unsigned
		// numbers, the distances of keys before the first are very large.
		behind := f.sub(f.iota(0, rows, q),
			f.sub(of.first, f.broadcast(f.mul(j, f.constant("i32", rows)), 1, q)))
		scores = f.choose(f.compare(lessUnsigned, behind, of.count), scores,
			f.filled(kernel.Unseen, "f32", rows, q))
		next := f.max(greatest, f.ceil(f.reduceRows("maximumf", kernel.Unseen, scores)))
		weights := f.exp2(f.sub(scores, next))
		shrink := f.exp2(f.sub(greatest, next))
		sum = f.add(f.mul(sum, shrink), f.reduceRows("add", 0, weights))
		output = f.add(f.mul(output, shrink), f.product(values, 0, f.bfloat16s(weights), 0))
		return []value{next, sum, output}
	})
}
