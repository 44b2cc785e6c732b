package mosaictest

import (
	"fmt"
	"slices"

	"scored/model/kernel/kerneltest"
)

// apply returns the result of an operation that has one. The caller rounds its numbers.
func (op *operation) apply(in []*Array) *Array {
	if len(in) == 2 {
		if of := kerneltest.Binary(op.name, op.predicate()); of != nil {
			return op.elementwise(in, func(x []float64) float64 { return of(x[0], x[1]) })
		}
	}
	if of := kerneltest.Unary(op.name); of != nil && len(in) == 1 {
		return op.elementwise(in, func(x []float64) float64 { return of(x[0]) })
	}
	switch op.name {
	case "arith.constant":
		return number(op.result.element, op.constant())
	case "arith.index_cast", "tpu.assume_multiple":
		if n := op.number("multiple"); n > 0 && int(in[0].Data[0])%n != 0 {
			panic(fmt.Sprintf("%v is not a multiple of %d", in[0].Data[0], n))
		}
		return op.elementwise(in, func(x []float64) float64 { return x[0] })
	case "arith.select": // of each element's own condition
		return op.elementwise(in, func(x []float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		})
	case "memref.load":
		return number(op.result.element, in[0].Data[int(in[1].Data[0])])
	case "vector.load":
		corner := [2]int{int(in[1].Data[0]), int(in[2].Data[0])}
		return cut(in[0], corner, op.result.dims[0], op.result.dims[1])
	case "vector.extract_strided_slice":
		from := op.numbers("offsets")
		return cut(in[0], [2]int{from[0], from[1]}, op.result.dims[0], op.result.dims[1])
	}
	return op.move(in)
}

// move returns the result of an operation that takes numbers to other places or combines
// numbers of several places. Values are matrices, but for the vectors of reductions.
func (op *operation) move(in []*Array) *Array {
	out := kerneltest.New(op.result.element, op.result.dims...)
	switch op.name {
	case "vector.broadcast":
		fill(out, func(r, c int) float64 { return at(in[0], r, c) })
	case "vector.shape_cast":
		copy(out.Data, in[0].Data)
	case "tpu.iota":
		axis := op.number("dimensions")
		fill(out, func(r, c int) float64 { return float64([]int{r, c}[axis]) })
	case "tpu.transpose":
		fill(out, func(r, c int) float64 { return at(in[0], c, r) })
	case "tpu.dynamic_rotate": // the last numbers of a row come to its front
		n, by := out.Dims[1], int(in[1].Data[0])
		fill(out, func(r, c int) float64 { return at(in[0], r, ((c-by)%n+n)%n) })
	case "tpu.concatenate":
		axis, at := op.number("dimension"), [2]int{}
		for _, part := range in {
			paste(out, at, part)
			at[axis] += part.Dims[axis]
		}
	case "vector.multi_reduction": // along columns, from initial values on
		operations := map[string]string{"add": "arith.addf", "maximumf": "arith.maximumf"}
		combine := kerneltest.Binary(operations[op.word("kind")], "")
		copy(out.Data, in[1].Data)
		for r := range in[0].Dims[0] {
			for c := range out.Data {
				out.Data[c] = combine(out.Data[c], at(in[0], r, c))
			}
		}
	case "tpu.matmul":
		op.multiply(in, out)
	default:
		panic("operation " + op.name + " is not known")
	}
	return out
}

// multiply computes out = in[0]·in[1] + in[2], which contracts one axis of each factor:
// the operation's dimension numbers say which. Products of bfloat16 are exact in
// float64, and each sum is rounded once. A TPU's order of additions differs.
func (op *operation) multiply(in []*Array, out *Array) {
	a, b := in[0], in[1]
	if axes := op.dimensionNumbers(); axes[0] == 0 {
		a = transposed(a)
	} else if axes[0] != 1 {
		panic("product contracts an unknown axis")
	}
	if op.dimensionNumbers()[1] == 1 {
		b = transposed(b)
	}
	if a.Dims[1] != b.Dims[0] || a.Dims[0] != out.Dims[0] || b.Dims[1] != out.Dims[1] {
		panic(fmt.Sprintf("product of %v and %v is not %v", a.Dims, b.Dims, out.Dims))
	}
	fill(out, func(r, c int) float64 { return at(in[2], r, c) })
	kerneltest.AddProduct(out, a, b)
}

// elementwise applies a function to the elements of arrays at the same place, which must
// all have the result's shape.
func (op *operation) elementwise(in []*Array, of func(x []float64) float64) *Array {
	out, x := kerneltest.New(op.result.element, op.result.dims...), make([]float64, len(in))
	for _, a := range in {
		if !slices.Equal(a.Dims, out.Dims) {
			panic(fmt.Sprintf("%s of %v gives %v", op.name, a.Dims, out.Dims))
		}
	}
	for i := range out.Data {
		for k, a := range in {
			x[k] = a.Data[i]
		}
		out.Data[i] = of(x)
	}
	return out
}

// predicate returns the name of an operation's predicate, which the text has as a
// number of MLIR's arith dialect; "" if it is not known.
func (op *operation) predicate() string {
	names := map[string]string{"arith.cmpi 2": "slt", "arith.cmpi 6": "ult", "arith.cmpf 1": "oeq"}
	return names[fmt.Sprintf("%s %d", op.name, op.number("predicate"))]
}

// at returns the number in a row and a column. A number, or a single row or column, is
// repeated as a broadcast does.
func at(a *Array, row, column int) float64 {
	rows, columns := 1, 1
	switch len(a.Dims) {
	case 1:
		columns = a.Dims[0]
	case 2:
		rows, columns = a.Dims[0], a.Dims[1]
	}
	return a.Data[min(row, rows-1)*columns+min(column, columns-1)]
}

// fill sets each number of an array by its row and column. A vector is one row.
func fill(a *Array, of func(row, column int) float64) {
	columns := a.Dims[len(a.Dims)-1]
	for i := range a.Data {
		a.Data[i] = of(i/columns, i%columns)
	}
}

// transposed swaps the axes of a matrix.
func transposed(a *Array) *Array {
	out := kerneltest.New(a.Element, a.Dims[1], a.Dims[0])
	fill(out, func(r, c int) float64 { return a.Data[c*a.Dims[1]+r] })
	return out
}
