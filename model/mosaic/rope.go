package mosaic

// ropeWindows returns the windows for the inputs of RMSNorm and RoPE: a weight and the
// tokens' angles.
func (s Shape) ropeWindows(rows int, tokens func(i, j value) value) []window {
	return []window{
		{kind: array("f32", 1, s.HeadDim), fixed: true, block: func(t *text, _, _ value) (value, value) {
			zero := t.constant("i32", 0)
			return zero, zero
		}},
		{kind: array("f32", rows, 2*s.HeadDim),
			block: func(t *text, i, j value) (value, value) { return tokens(i, j), t.constant("i32", 0) }},
	}
}

// ropeInputs are these inputs in registers: weight [1, E], cosines and sines [rows, E].
type ropeInputs struct{ weight, cos, sin value }

// ropeInputs loads the inputs of rows tokens.
func (s Shape) ropeInputs(t *text, weight, angles value, rows int) ropeInputs {
	top, e := t.constant("index", 0), s.HeadDim
	return ropeInputs{t.load(weight, top, 1, 0, e), t.load(angles, top, rows, 0, e),
		t.load(angles, top, rows, e, e)}
}

// normRope applies RMSNorm, if heads are normed, the weight and RoPE to a head's
// vectors [rows, E] bfloat16 -> [rows, E] float32: x·cos + swap(x)·sin, with the pair
// (x_i, x_{i+E/2}) and its token's angle i.
func (s Shape) normRope(t *text, x value, by ropeInputs) value {
	x = t.float32s(x)
	if s.Norm {
		mean := t.mul(t.rowSums(t.mul(x, x)), t.filled(1/float64(s.HeadDim), "f32", x.dims...))
		x = t.mul(x, t.rsqrt(t.add(mean, t.filled(s.Eps, "f32", x.dims...))))
	}
	x = t.mul(x, by.weight)
	return t.add(t.mul(x, by.cos), t.mul(t.rotate(x, s.HeadDim/2), by.sin))
}

// rowSums returns the sum of each row in all of its lanes. It is a product with ones,
// of numbers rounded to bfloat16, which changes a norm by a relative 1e-4.
func (t *text) rowSums(x value) value {
	n := x.dims[1]
	return t.product(t.bfloat16s(x), 1, t.filled(1, "bf16", n, n), 0)
}
