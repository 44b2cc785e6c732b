package triton

// turner turns the heads of some rows: each row is one head of one token.
type turner struct {
	Shape
	*text
	token  value // [rows] of the step
	weight value // pointer to [1, E] float32
	angles value // pointer to [T, 2E] float32: cosines, then signed sines
}

// turn reads the heads' vectors, which begin at base [rows] of qkv, norms them where heads are normed, weighs and turns
// them -> [rows, E] float32: x·cos + swap(x)·sin, the pair (x_i, x_{i+E/2}) by its token's angle i.
func (t turner) turn(qkv, base value) value {
	e := t.HeadDim
	column := t.count(e)
	swapped := t.rest(t.plus(column, e/2), t.whole(e))
	x := t.float32s(t.load(qkv, t.grid(base, column)))
	other := t.float32s(t.load(qkv, t.grid(base, swapped)))
	angle := t.times(t.token, 2*e)
	cos, sin := t.load(t.angles, t.grid(angle, column)), t.load(t.angles, t.grid(t.plus(angle, e), column))
	weighed := func(x, column value) value { return t.mul(x, t.row(t.load(t.weight, column))) }
	turned := t.add(t.mul(weighed(x, column), cos), t.mul(weighed(other, swapped), sin))
	if !t.Norm {
		return turned
	}
	mean := t.mul(t.across("arith.addf", t.mul(x, x)), t.filled(1/float64(e), "f32", x.dims[0]))
	scale := t.unary("math.rsqrt", t.add(mean, t.filled(t.Eps, "f32", x.dims[0])))
	return t.mul(turned, t.column(scale))
}
