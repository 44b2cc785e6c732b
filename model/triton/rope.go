package triton

// ropeReader reads heads of qkv and applies RMSNorm and RoPE. Each row is one head of
// one token.
type ropeReader struct {
	Shape
	*text
	token  value // [rows] of the step
	weight value // pointer to [1, E] float32
	angles value // pointer to [T, 2E] float32: cosines, then signed sines
}

// normRope reads the heads' vectors, which begin at base [rows] of qkv, and applies
// RMSNorm, if heads are normed, the weight and RoPE -> [rows, E] float32: x·cos +
// swap(x)·sin, with the pair (x_i, x_{i+E/2}) and its token's angle i.
func (t ropeReader) normRope(qkv, base value) value {
	e := t.HeadDim
	column := t.iota(e)
	swapped := t.rem(t.plus(column, e/2), t.constant(e))
	x := t.float32s(t.load(qkv, t.grid(base, column)))
	other := t.float32s(t.load(qkv, t.grid(base, swapped)))
	angle := t.times(t.token, 2*e)
	cos, sin := t.load(t.angles, t.grid(angle, column)),
		t.load(t.angles, t.grid(t.plus(angle, e), column))
	weighed := func(x, column value) value { return t.mul(x, t.row(t.load(t.weight, column))) }
	rotated := t.add(t.mul(weighed(x, column), cos), t.mul(weighed(other, swapped), sin))
	if !t.Norm {
		return rotated
	}
	mean := t.mul(t.reduce("arith.addf", t.mul(x, x)), t.filled(1/float64(e), "f32", x.dims[0]))
	scale := t.unary("math.rsqrt", t.add(mean, t.filled(t.Eps, "f32", x.dims[0])))
	return t.mul(rotated, t.column(scale))
}
