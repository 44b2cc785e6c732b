package triton

// Keys returns the kernel that prepares keys and values: see package kernel. Its grid has
// a point for each key-value head and block of tokens.
func Keys(s Shape) Kernel {
	// Four warps have 128 threads, so each has 32 numbers of 32 tokens' heads of 128.
	const rows = 32
	operands := []operand{{"qkv", "bf16"}, {"same", "bf16"}, {"weight", "f32"}, {"angles", "f32"},
		{"out", "bf16"}}
	body := module("keys", operands, func(t *text, in map[string]value) {
		e, width := s.HeadDim, (s.Heads+2*s.KVHeads)*s.HeadDim
		head, block := t.program("x"), t.program("y")
		token := t.add(t.iota(rows), t.broadcast(t.times(block, rows), rows))
		line := t.times(token, width)
		rope := ropeReader{s, t, token, in["weight"], in["angles"]}
		k := rope.normRope(in["qkv"], t.add(line, t.times(t.plus(head, s.Heads), e)))
		values := t.grid(t.add(line, t.times(t.plus(head, s.Heads+s.KVHeads), e)), t.iota(e))
		v := t.float32s(t.load(in["qkv"], values))
		broken := t.sub(v, v) // 0 or, if a value is NaN or infinite, NaN
		k = t.add(k, t.column(t.reduce("arith.addf", broken)))
		zero := t.filled(0, "f32", rows, e)
		v = t.choose(t.compare("oeq", broken, zero), v, zero)
		to := t.grid(t.add(t.times(token, s.KVHeads*2*e), t.times(head, 2*e)), t.iota(e))
		t.store(t.bfloat16s(k), in["out"], to)
		t.store(t.bfloat16s(v), in["out"], t.plus(to, e))
	})
	return Kernel{Name: "keys", Body: body, Grid: [2]int{s.KVHeads, s.Tokens / rows}, Warps: 4,
		Stages: 1, Shared: 2 * rows * s.HeadDim * 4}
}
