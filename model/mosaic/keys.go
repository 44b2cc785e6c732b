package mosaic

// Keys returns the kernel that prepares keys and values: see package kernel. Its grid has
// a point for each block of tokens and key-value head. Its first two windows show parts
// of the same operand, qkv: a head's keys, and the same head's values.
func Keys(s Shape) Kernel {
	e, rows := s.HeadDim, s.keysRows()
	head := func(from int) window {
		return window{kind: array("bf16", rows, e),
			block: func(t *text, i, j value) (value, value) { return i, t.add(j, t.constant("i32", from)) }}
	}
	windows := []window{head(s.Heads), head(s.Heads + s.KVHeads)}
	windows = append(windows, ropeWindows(e, rows, func(i, _ value) value { return i })...)
	windows = append(windows, window{kind: array("bf16", rows, 2*e),
		block: func(_ *text, i, j value) (value, value) { return i, j }})
	body := module("keys", [2]int{s.Tokens / rows, s.KVHeads}, nil, windows,
		func(t *text, _, _ value, _, in []value) {
			keys, values, weight, angles, out := in[0], in[1], in[2], in[3], in[4]
			top, zero := t.constant("index", 0), t.filled(0, "f32", rows, e)
			v := t.float32s(t.load(values, top, rows, 0, e))
			broken := t.sub(v, v) // 0 or, if a value is NaN or infinite, NaN
			k := t.load(keys, top, rows, 0, e)
			k = t.add(loadRope(s, t, weight, angles, rows).normRope(k), t.rowSums(broken))
			const equal = exactly + ", predicate = 1 : i64" // ordered: false for NaN
			finite := t.op(array("i1", rows, e), "arith.cmpf", equal, broken, zero)
			t.store(t.bfloat16s(k), out, 0)
			t.store(t.bfloat16s(t.choose(finite, v, zero)), out, e)
		})
	moved := 2 * s.Tokens * s.KVHeads * 2 * e * 2
	return Kernel{Name: "keys", Body: body, FastMemory: s.fastMemory(), Cost: Cost{
		Flops: s.Tokens * s.KVHeads * e * (4*e + 16), Transcendental: s.Tokens * s.KVHeads * e,
		BytesAccessed: moved + s.Tokens*2*e*4}}
}

// keysRows returns how many tokens Keys takes at a time.
func (s Shape) keysRows() int { return divisor(s.Tokens, 512) }
