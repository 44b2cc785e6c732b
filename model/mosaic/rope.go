package mosaic

// ropeWindows returns the windows of what rope reads: a weight, which is the same at
// every point of the grid, and the angles of rows tokens. tokens says which block of
// tokens the angles are for at a point.
func ropeWindows(headDim, rows int, tokens func(i, j value) value) []window {
	return []window{
		{kind: array("f32", 1, headDim), fixed: true, block: func(t *text, _, _ value) (value, value) {
			zero := t.constant("i32", 0)
			return zero, zero
		}},
		{kind: array("f32", rows, 2*headDim),
			block: func(t *text, i, j value) (value, value) { return tokens(i, j), t.constant("i32", 0) }},
	}
}

// rope applies RMSNorm and RoPE to vectors of heads, a row each.
type rope struct {
	Shape
	*text
	weight   value // [1, E] float32
	cos, sin value // [rows, E] float32, of each row's token
}

// loadRope loads the weight and the angles of rows tokens from their windows.
func loadRope(s Shape, t *text, weight, angles value, rows int) rope {
	top, e := t.constant("index", 0), s.HeadDim
	return rope{s, t, t.load(weight, top, 1, 0, e), t.load(angles, top, rows, 0, e),
		t.load(angles, top, rows, e, e)}
}

// normRope applies RMSNorm, if heads are normed, the weight and RoPE to a head's
// vectors [rows, E] bfloat16 -> [rows, E] float32: x·cos + swap(x)·sin, with the pair
// (x_i, x_{i+E/2}) and its token's angle i. Sines have the sign that they need on
// either half, so rotating the lanes by E/2 is the swap.
func (r rope) normRope(x value) value {
	x = r.float32s(x)
	if r.Norm {
		mean := r.mul(r.rowSums(r.mul(x, x)), r.filled(1/float64(r.HeadDim), "f32", x.dims...))
		x = r.mul(x, r.rsqrt(r.add(mean, r.filled(r.Eps, "f32", x.dims...))))
	}
	x = r.mul(x, r.weight)
	return r.add(r.mul(x, r.cos), r.mul(r.rotate(x, r.HeadDim/2), r.sin))
}

// rowSums returns the sum of each row in all of its lanes. It is a product with ones,
// since adding up lanes takes the vector unit many steps. The product takes numbers
// rounded to bfloat16, which changes a norm by a relative 1e-4.
func (t *text) rowSums(x value) value {
	n := x.dims[1]
	return t.product(t.bfloat16s(x), 1, t.filled(1, "bf16", n, n), 0)
}
