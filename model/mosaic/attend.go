package mosaic

import (
	"fmt"
	"slices"
)

// Shape is what the kernels of a block are written for: T packed tokens of H query heads and K key-value heads of E
// numbers, on a prefix of P keys. G = H/K query heads share a key-value head.
type Shape struct {
	Tokens, Prefix          int
	Heads, KVHeads, HeadDim int
	// Norm tells whether queries and keys are normed; Eps is added to their mean square.
	Norm bool
	Eps  float64
}

// lanes is how many numbers a register of a TPU holds side by side.
const lanes = 128

// most is how much fast memory a kernel may ask for, of 128 MiB.
const most = 100 << 20

// Check says why there are no kernels of the shape.
func (s Shape) Check() error {
	switch {
	case s.HeadDim != lanes:
		return fmt.Errorf("heads have %d numbers, kernels are for %d", s.HeadDim, lanes)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d query heads do not share %d key-value heads evenly", s.Heads, s.KVHeads)
	case s.Tokens%lanes != 0 || s.Prefix%lanes != 0:
		return fmt.Errorf("step shape has %d tokens and %d prefix keys, kernels take multiples of %d", s.Tokens, s.Prefix, lanes)
	case s.fastMemory() > most:
		return fmt.Errorf("step shape of %d tokens and %d prefix keys does not fit fast memory", s.Tokens, s.Prefix)
	}
	return nil
}

// Block is how many tokens attend at a time, and to how many of the step's own tokens.
func (s Shape) Block() int {
	if s.Tokens%256 == 0 && s.Heads/s.KVHeads <= 2 {
		return 256
	}
	return 128
}

// PrefixBlock is to how many prefix keys tokens attend at a time.
func (s Shape) PrefixBlock() int { return divisor(s.Prefix, 512) }

func (s Shape) fastMemory() int {
	const work = 16 << 20 // scores, and the blocks of queries and results
	twice := 2            // the next head's keys and values arrive beside those in use
	return work + twice*2*(s.Tokens+s.Prefix)*2*s.HeadDim
}

// Keys is the kernel that makes keys and values ready: keys normed and turned, values that overflowed kept from those who do
// not see them. qkv [T, (H+2K)·E] bfloat16, weight [1, E] float32, which normed keys are multiplied by, angles [T, 2E] float32, cosines and then signed
// sines -> [T, K·2E] bfloat16, each head's keys and then its values.
func Keys(s Shape) Kernel {
	e, rows := s.HeadDim, s.keysRows()
	head := func(from int) window {
		return window{kind: array("bf16", rows, e), block: func(t *text, i, j value) (value, value) { return i, t.add(j, t.whole("i32", from)) }}
	}
	windows := []window{head(s.Heads), head(s.Heads + s.KVHeads)}
	windows = append(windows, s.turning(rows, func(i, _ value) value { return i })...)
	windows = append(windows, window{kind: array("bf16", rows, 2*e), block: func(_ *text, i, j value) (value, value) { return i, j }})
	body := module("keys", [2]int{s.Tokens / rows, s.KVHeads}, nil, windows, func(t *text, _, _ value, _, in []value) {
		keys, values, weight, angles, out := in[0], in[1], in[2], in[3], in[4]
		top, zero := t.whole("index", 0), t.filled(0, "f32", rows, e)
		v := t.float32s(t.load(values, top, rows, 0, e))
		broken := t.sub(v, v) // 0 or, if a value is NaN or infinite, NaN
		k := t.add(s.turn(t, t.load(keys, top, rows, 0, e), s.turner(t, weight, angles, rows)), t.across(broken))
		whole := t.op(array("i1", rows, e), "arith.cmpf", exactly+", predicate = 1 : i64", broken, zero) // equal
		t.store(t.bfloat16s(k), out, 0)
		t.store(t.bfloat16s(t.choose(whole, v, zero)), out, e)
	})
	moved := 2 * s.Tokens * s.KVHeads * 2 * e * 2
	return Kernel{Name: "keys", Body: body, FastMemory: s.fastMemory(), Cost: Cost{
		Flops: s.Tokens * s.KVHeads * e * (4*e + 16), Transcendental: s.Tokens * s.KVHeads * e, BytesAccessed: moved + s.Tokens*2*e*4}}
}

// keysRows is how many tokens Keys takes at a time.
func (s Shape) keysRows() int { return divisor(s.Tokens, 512) }

// divisor is the greatest of most, most/2, … that divides n.
func divisor(n, most int) int {
	for n%most != 0 {
		most /= 2
	}
	return most
}

// Attend is the kernel of attention. Token t sees the first visible[t] prefix keys, and the step's tokens start[t] … t.
// spans [2·T/Block] int32: for each block of tokens how many blocks of prefix keys any of them sees, then for each the
// first block of tokens that any of them sees; qkv [T, (H+2K)·E] bfloat16, of which it reads the queries; keys [T, K·2E] of
// Keys; the prefix's [P, K·2E], left out without one; sight [2, T] int32, visible and start; weight [1, E] float32 of
// queries, log2(e)/sqrt(E) in it, as softmax is of powers of two; angles [T, 2E] -> [T, H·E] bfloat16.
func Attend(s Shape) Kernel {
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Block()
	blocks := s.Tokens / rows
	queries := window{kind: array("bf16", rows, group*e), block: func(_ *text, g, i value) (value, value) { return i, g }}
	all := func(n int) window {
		return window{kind: array("bf16", n, 2*e), block: func(t *text, g, _ value) (value, value) { return t.whole("i32", 0), g }}
	}
	windows := []window{queries, all(s.Tokens)}
	if s.Prefix > 0 {
		windows = append(windows, all(s.Prefix))
	}
	windows = append(windows, window{kind: array("i32", 2, rows), block: func(t *text, _, i value) (value, value) { return t.whole("i32", 0), i }})
	windows = append(windows, s.turning(rows, func(_, i value) value { return i })...)
	windows = append(windows, queries)
	body := module("attend", [2]int{s.KVHeads, blocks}, []kind{array("i32", 2*blocks)}, windows, s.attend)

	pairs := s.Tokens * (s.Prefix + ownBlocks*rows)
	return Kernel{Name: "attend", Body: body, FastMemory: s.fastMemory(), Cost: Cost{
		Flops: 4 * s.Heads * e * pairs, Transcendental: s.Heads * pairs,
		BytesAccessed: 2*(2*s.Tokens*s.Heads*e+(s.Tokens+s.Prefix)*s.KVHeads*2*e) + s.KVHeads*s.Tokens*(2*e*4+8),
	}}
}

// ownBlocks is to how many blocks of the step's own tokens a token attends if no row is longer than a block: its own, and the
// one before, in which the block's first row begins.
const ownBlocks = 2

// Cycles is how long both kernels take on a v6e, by the instructions that libtpu 0.0.52 schedules for a block of 512 queries
// (docs/performance-tpu.md tells how to count them), if no row is longer than a block.
func (s Shape) Cycles() float64 {
	const (
		keysStep, keysToken     = 180, 0.79 // a step of Keys' grid, and each of its tokens
		attendStep              = 900       // a step of Attend's grid, without its keys
		keyBlock, keyPer512     = 235, 1.28 // a block of keys, and each key for 512 queries
		longPrefix, longWindows = 512, 240  // a longer prefix takes more instructions to fetch
	)
	rows := s.Block()
	queries := float64(rows*s.Heads/s.KVHeads) / 512
	blocks := func(keys, size int) float64 { return float64(keys/size)*keyBlock + float64(keys)*keyPer512*queries }
	step := attendStep + blocks(ownBlocks*rows, rows)
	if s.Prefix > 0 {
		step += blocks(s.Prefix, s.PrefixBlock())
	}
	if s.Prefix > longPrefix {
		step += longWindows
	}
	keys := float64(s.Tokens/s.keysRows())*keysStep + float64(s.Tokens)*keysToken
	return float64(s.KVHeads) * (float64(s.Tokens/rows)*step + keys)
}

// attend is the body of Attend for key-value head g and block i of tokens.
func (s Shape) attend(t *text, _, i value, whole, in []value) {
	spans, queries, keys := whole[0], in[0], in[1]
	prefix := in[2] // if there is one
	if s.Prefix > 0 {
		in = in[1:]
	}
	sight, weight, angles, out := in[2], in[3], in[4], in[5]
	e, group, rows := s.HeadDim, s.Heads/s.KVHeads, s.Block()

	// The group's heads one below the other are queries of the same keys.
	top, turner, parts := t.whole("index", 0), s.turner(t, weight, angles, rows), make([]value, group)
	for h := range parts {
		parts[h] = t.bfloat16s(s.turn(t, t.load(queries, top, rows, h*e, e), turner))
	}
	f := flash{Shape: s, text: t, queries: t.beside(0, parts...)}
	each := func(x value) value { // one number of a token for all heads of the group, [1, G·rows]
		return t.beside(1, slices.Repeat([]value{x}, group)...)
	}
	visible, start := each(t.load(sight, top, 1, 0, rows)), each(t.load(sight, t.whole("index", 1), 1, 0, rows))
	token := t.add(t.spread(t.mul(i, t.whole("i32", rows)), 1, group*rows), each(t.count(1, 1, rows)))
	span := func(n value) value { return t.op(scalar("i32"), "memref.load", "", spans, t.index(n, 1)) }

	state := f.begin()
	if s.Prefix > 0 {
		state = f.over(t.whole("i32", 0), span(i), prefix, s.PrefixBlock(), state, func(key value) value {
			return t.compare(less, key, visible)
		})
	}
	first := span(t.add(i, t.whole("i32", s.Tokens/rows)))
	state = f.over(first, t.add(i, t.whole("i32", 1)), keys, rows, state, func(key value) value {
		return t.and(t.compare(notLess, key, start), t.compare(lessOrEqual, key, token))
	})
	mixed := t.bfloat16s(t.transpose(t.div(state[2], state[1]))) // [G·rows, E]
	for h := range group {
		t.store(t.part(mixed, h*rows, rows, 0, e), out, h*e)
	}
}

// flash is attention over blocks of keys, one after the other. Scores stand keys down and queries across, so that a query's
// numbers, its greatest score and the sum of its weights, lie in a lane each, and no sum goes across lanes.
//
// Weights are powers of two, below the greatest score rounded up to a whole number. So what came before is rescaled without
// rounding, and a weight has the same bits in whichever block it is computed: the place of a row among others, which decides
// where its blocks end, shows only in the order of sums.
type flash struct {
	Shape
	*text
	queries value // [Q, E] bfloat16
}

const unseen = -1e30 // the score of a key that a query does not see; finite, so that no NaN can arise

// begin is the state before the first key: the greatest score [1, Q], rounded up, the weights' sum [1, Q], the weighted values [E, Q].
func (f flash) begin() []value {
	q := f.queries.dims[0]
	return []value{f.filled(unseen, "f32", 1, q), f.filled(0, "f32", 1, q), f.filled(0, "f32", f.HeadDim, q)}
}

// over goes on over blocks first … last-1 of keys and values [N, 2E].
func (f flash) over(first, last, from value, rows int, state []value, sees func(key value) value) []value {
	e, q := f.HeadDim, f.queries.dims[0]
	return f.loop(first, last, state, func(j value, state []value) []value {
		greatest, sum, mixed := state[0], state[1], state[2]
		at := f.index(j, rows)
		keys, values := f.load(from, at, rows, 0, e), f.load(from, at, rows, e, e)
		scores := f.product(keys, 1, f.queries, 1) // [rows, Q]
		key := f.add(f.spread(f.mul(j, f.whole("i32", rows)), rows, q), f.count(0, rows, q))
		scores = f.choose(sees(key), scores, f.filled(unseen, "f32", rows, q))
		next := f.max(greatest, f.ceil(f.down("maximumf", unseen, scores)))
		weights := f.exp2(f.sub(scores, next))
		shrink := f.exp2(f.sub(greatest, next))
		sum = f.add(f.mul(sum, shrink), f.down("add", 0, weights))
		mixed = f.add(f.mul(mixed, shrink), f.product(values, 0, f.bfloat16s(weights), 0))
		return []value{next, sum, mixed}
	})
}

// Spans are Attend's spans for what each token sees.
func (s Shape) Spans(visible, start []int32) []int32 {
	rows := s.Block()
	blocks := s.Tokens / rows
	spans := make([]int32, 2*blocks)
	for i := range blocks {
		part := func(all []int32) []int32 { return all[i*rows : (i+1)*rows] }
		if s.Prefix > 0 {
			n := int32(s.PrefixBlock())
			spans[i] = (slices.Max(part(visible)) + n - 1) / n
		}
		spans[blocks+i] = slices.Min(part(start)) / int32(rows)
	}
	return spans
}
