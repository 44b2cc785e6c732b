package mosaic

// turning are the windows of what turns heads: the norm's weight, if there is one, and the tokens' angles.
func (s Shape) turning(rows int, tokens func(i, j value) value) []window {
	angles := window{kind: array("f32", rows, 2*s.HeadDim), block: func(t *text, i, j value) (value, value) { return tokens(i, j), t.whole("i32", 0) }}
	if !s.Norm {
		return []window{angles}
	}
	weight := window{kind: array("f32", 1, s.HeadDim), still: true, block: func(t *text, _, _ value) (value, value) {
		zero := t.whole("i32", 0)
		return zero, zero
	}}
	return []window{weight, angles}
}

// turner are their numbers: weight [1, E], if heads are normed, cosines and sines [rows, E].
type turner struct{ weight, cos, sin value }

func (s Shape) loadTurning(t *text, blocks []value, rows int) (r turner) {
	top, e := t.whole("index", 0), s.HeadDim
	if s.Norm {
		r.weight, blocks = t.load(blocks[0], top, 1, 0, e), blocks[1:]
	}
	r.cos, r.sin = t.load(blocks[0], top, rows, 0, e), t.load(blocks[0], top, rows, e, e)
	return r
}

// turn norms a head's vectors [rows, E] bfloat16, where heads are normed, and turns them by their tokens' angles -> [rows, E]
// float32. See network.turn for the formula.
func (s Shape) turn(t *text, x value, by turner) value {
	x = t.float32s(x)
	if s.Norm {
		mean := t.mul(t.across(t.mul(x, x)), t.filled(1/float64(s.HeadDim), "f32", x.dims...))
		x = t.mul(t.mul(x, t.rsqrt(t.add(mean, t.filled(s.Eps, "f32", x.dims...)))), by.weight)
	}
	return t.add(t.mul(x, by.cos), t.mul(t.rotate(x, s.HeadDim/2), by.sin))
}

// across is the sum over each row, in every lane of it: a product with ones, of numbers rounded to bfloat16. It moves a norm by
// some 1e-4 of itself.
func (t *text) across(x value) value {
	n := x.dims[1]
	return t.product(t.bfloat16s(x), 1, t.filled(1, "bf16", n, n), 0)
}
