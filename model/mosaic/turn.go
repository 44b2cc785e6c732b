package mosaic

// turning are the windows of what turns heads: a weight and the tokens' angles.
func (s Shape) turning(rows int, tokens func(i, j value) value) []window {
	return []window{
		{kind: array("f32", 1, s.HeadDim), still: true, block: func(t *text, _, _ value) (value, value) {
			zero := t.whole("i32", 0)
			return zero, zero
		}},
		{kind: array("f32", rows, 2*s.HeadDim), block: func(t *text, i, j value) (value, value) { return tokens(i, j), t.whole("i32", 0) }},
	}
}

// turner are their numbers: weight [1, E], cosines and sines [rows, E].
type turner struct{ weight, cos, sin value }

func (s Shape) turner(t *text, weight, angles value, rows int) turner {
	top, e := t.whole("index", 0), s.HeadDim
	return turner{t.load(weight, top, 1, 0, e), t.load(angles, top, rows, 0, e), t.load(angles, top, rows, e, e)}
}

// turn norms a head's vectors [rows, E] bfloat16, where heads are normed, weighs and turns them -> [rows, E] float32:
// x·cos + swap(x)·sin, the pair (x_i, x_{i+E/2}) by its token's angle i.
func (s Shape) turn(t *text, x value, by turner) value {
	x = t.float32s(x)
	if s.Norm {
		mean := t.mul(t.across(t.mul(x, x)), t.filled(1/float64(s.HeadDim), "f32", x.dims...))
		x = t.mul(x, t.rsqrt(t.add(mean, t.filled(s.Eps, "f32", x.dims...))))
	}
	x = t.mul(x, by.weight)
	return t.add(t.mul(x, by.cos), t.mul(t.rotate(x, s.HeadDim/2), by.sin))
}

// across is the sum over each row, in every lane of it: a product with ones, of numbers rounded to bfloat16. It moves a norm by
// some 1e-4 of itself.
func (t *text) across(x value) value {
	n := x.dims[1]
	return t.product(t.bfloat16s(x), 1, t.filled(1, "bf16", n, n), 0)
}
