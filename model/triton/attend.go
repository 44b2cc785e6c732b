package triton

import "scored/model/kernel"

// Attend returns the kernel that computes attention: see package kernel. Its grid has a
// point for some heads that share keys, and a block of tokens.
func Attend(s Shape) Kernel {
	tile := s.tile()
	operands := []operand{{"spans", "i32"}, {"qkv", "bf16"}, {"keys", "bf16"}}
	if s.Context > 0 {
		operands = append(operands, operand{"context", "bf16"})
	}
	operands = append(operands, operand{"ranges", "i32"}, operand{"weight", "f32"},
		operand{"angles", "f32"}, operand{"out", "bf16"})
	return Kernel{
		Name: "attend", Body: module("attend", operands, s.attend),
		Grid:  [2]int{s.Heads / tile.Heads, s.Tokens / tile.Tokens},
		Warps: tile.Warps, Stages: tile.Stages, Shared: s.shared(tile),
	}
}

// attend is the body of Attend for a point of the grid: some heads that share keys, and
// a block of tokens. A row is one head of one token.
func (s Shape) attend(t *text, in map[string]value) {
	tile, e := s.tile(), s.HeadDim
	rows := tile.Tokens * tile.Heads
	group, block := t.program("x"), t.program("y")
	row, firstHead := t.iota(rows), t.times(group, tile.Heads)
	token, head := row, t.broadcast(firstHead, rows)
	if tile.Heads > 1 {
		token, head = t.div(row, t.constant(tile.Heads)), t.add(t.rem(row, t.constant(tile.Heads)), head)
	}
	token = t.add(token, t.times(block, tile.Tokens))
	seen := func(n int) value { return t.load(in["ranges"], t.plus(token, n*s.Tokens)) }
	span := func(n int) value { return t.load(in["spans"], t.plus(block, n*s.Tokens/tile.Tokens)) }

	rope := ropeReader{s, t, token, in["weight"], in["angles"]}
	queries := rope.normRope(in["qkv"],
		t.add(t.times(token, (s.Heads+2*s.KVHeads)*e), t.times(head, e)))
	f := flash{Shape: s, text: t, queries: t.bfloat16s(queries)}
	f.head = t.times(t.div(firstHead, t.constant(s.Heads/s.KVHeads)), 2*e)

	// The step's own keys, in blocks first … last-1.
	first, start := span(2), seen(2)
	last := t.div(t.plus(t.times(t.plus(block, 1), tile.Tokens), tile.Keys-1), t.constant(tile.Keys))
	own := source{in["keys"], start, t.plus(t.sub(token, start), 1)}
	runs := t.sub(last, first)
	var at func(j value) (source, value)
	if s.Context == 0 {
		at = func(j value) (source, value) { return own, t.add(first, j) }
	} else {
		begin, from := span(0), seen(0)
		blocks := t.sub(span(1), begin)
		context := source{in["context"], from, t.sub(seen(1), from)}
		runs, first = t.add(runs, blocks), t.sub(first, blocks)
		at = func(j value) (source, value) {
			onContext := t.compare("slt", j, blocks)
			each := t.broadcast(onContext, rows)
			return source{
				t.choose(onContext, context.keys, own.keys),
				t.choose(each, context.first, own.first), t.choose(each, context.count, own.count),
			}, t.add(t.choose(onContext, begin, first), j)
		}
	}
	output, sum := f.over(runs, at)
	output = t.bfloat16s(t.div(output, t.column(sum)))
	t.store(output, in["out"], t.grid(t.add(t.times(token, s.Heads*e), t.times(head, e)), t.iota(e)))
}

// source is an array of keys and values, and the keys that each row attends to: count
// of them from first on.
type source struct{ keys, first, count value }

// flash is attention over blocks of keys, one after the other. One loop goes over all
// blocks, those of the context and then the step's own, so that the next block is
// loaded while one is computed.
type flash struct {
	Shape
	*text
	queries value // [rows, E] bfloat16
	head    value // where the head's keys begin in a line of keys and values
}

// over goes over so many blocks of keys. It returns the weighted values [rows, E] and
// the sum of weights [rows].
func (f flash) over(blocks value, at func(j value) (of source, block value)) (output, sum value) {
	rows, keys, e := f.queries.dims[0], f.tile().Keys, f.HeadDim
	key, column := f.iota(keys), f.iota(e)
	state := []value{f.filled(kernel.Before, "f32", rows), f.filled(0, "f32", rows),
		f.filled(0, "f32", rows, e)}
	state = f.loop(blocks, state, func(j value, state []value) []value {
		greatest, sum, output := state[0], state[1], state[2]
		source, block := at(j)
		top := f.times(block, keys)
		lines := f.add(f.times(f.add(key, top), f.KVHeads*2*e), f.head)
		place := f.grid(lines, column)
		k := f.load(source.keys, place)
		scores := f.product(f.queries, f.transpose(k), f.filled(0, "f32", rows, keys))
		// A row attends to keys less than count behind its first. As unsigned numbers,
		// the distances of keys before the first are very large.
		behind := f.grid(f.sub(f.broadcast(top, rows), source.first), key)
		scores = f.choose(f.compare("ult", behind, f.column(source.count)), scores,
			f.filled(kernel.Unseen, "f32", rows, keys))
		next := f.max(greatest, f.unary("math.ceil", f.reduce("arith.maximumf", scores)))
		weights := f.exp2(f.sub(scores, f.column(next)))
		shrink := f.exp2(f.sub(greatest, next))
		sum = f.add(f.mul(sum, shrink), f.reduce("arith.addf", weights))
		v := f.load(source.keys, f.plus(place, e))
		output = f.product(f.bfloat16s(weights), v, f.mul(output, f.column(shrink)))
		return []value{next, sum, output}
	})
	return state[2], state[1]
}
