package mosaictest

import (
	"fmt"
	"math"
	"slices"
)

// apply gives the result of an operation that has one; its numbers are rounded after.
func (op *operation) apply(in []*Array) *Array {
	if len(in) == 2 {
		if of := binary(op.name, op.number("predicate")); of != nil {
			return op.elementwise(in, func(x []float64) float64 { return of(x[0], x[1]) })
		}
	}
	switch op.name {
	case "arith.constant":
		return number(op.result.element, op.constant())
	case "arith.extf", "arith.truncf", "arith.index_cast", "tpu.assume_multiple":
		if n := op.number("multiple"); n > 0 && int(in[0].Data[0])%n != 0 {
			panic(fmt.Sprintf("%v is not a multiple of %d", in[0].Data[0], n))
		}
		return op.elementwise(in, func(x []float64) float64 { return x[0] })
	case "math.exp2":
		return op.elementwise(in, func(x []float64) float64 { return math.Exp2(x[0]) })
	case "math.ceil":
		return op.elementwise(in, func(x []float64) float64 { return math.Ceil(x[0]) })
	case "math.rsqrt":
		return op.elementwise(in, func(x []float64) float64 { return 1 / math.Sqrt(x[0]) })
	case "arith.select":
		return op.elementwise(in, func(x []float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		})
	case "memref.load":
		return number(op.result.element, in[0].Data[int(in[1].Data[0])])
	case "vector.load":
		return cut(in[0], [2]int{int(in[1].Data[0]), int(in[2].Data[0])}, op.result.dims[0], op.result.dims[1])
	case "vector.extract_strided_slice":
		from := op.numbers("offsets")
		return cut(in[0], [2]int{from[0], from[1]}, op.result.dims[0], op.result.dims[1])
	}
	return op.move(in)
}

// move is an operation that takes numbers to other places, or adds them up.
func (op *operation) move(in []*Array) *Array {
	out := New(op.result.element, op.result.dims...)
	switch op.name {
	case "vector.broadcast":
		out.fill(func(r, c int) float64 { return in[0].at(r, c) })
	case "vector.shape_cast":
		copy(out.Data, in[0].Data)
	case "tpu.iota":
		axis := op.number("dimensions")
		out.fill(func(r, c int) float64 { return float64([]int{r, c}[axis]) })
	case "tpu.transpose":
		out.fill(func(r, c int) float64 { return in[0].at(c, r) })
	case "tpu.dynamic_rotate":
		n, by := out.Dims[1], int(in[1].Data[0])
		out.fill(func(r, c int) float64 { return in[0].at(r, ((c-by)%n+n)%n) })
	case "tpu.concatenate":
		axis, at := op.number("dimension"), [2]int{}
		for _, part := range in {
			paste(out, at, part)
			at[axis] += part.Dims[axis]
		}
	case "vector.multi_reduction":
		add := binary(map[string]string{"add": "arith.addf", "maximumf": "arith.maximumf"}[op.word("kind")], 0)
		copy(out.Data, in[1].Data)
		for r := range in[0].Dims[0] {
			for c := range out.Data {
				out.Data[c] = add(out.Data[c], in[0].at(r, c))
			}
		}
	case "tpu.matmul":
		op.multiply(in, out)
	default:
		panic("operation " + op.name + " is not known")
	}
	return out
}

// multiply is out = in[0]·in[1] + in[2], over the axes that the dimension numbers contract.
func (op *operation) multiply(in []*Array, out *Array) {
	a, b := in[0], in[1]
	if axes := op.dimensionNumbers(); axes[0] == 0 {
		a = a.turned()
	} else if axes[0] != 1 {
		panic("product contracts an unknown axis")
	}
	if op.dimensionNumbers()[1] == 0 {
		b = b.turned()
	}
	if a.Dims[1] != b.Dims[1] || a.Dims[0] != out.Dims[0] || b.Dims[0] != out.Dims[1] {
		panic(fmt.Sprintf("product of %v and %v is not %v", a.Dims, b.Dims, out.Dims))
	}
	n := a.Dims[1]
	out.fill(func(r, c int) float64 {
		sum := in[2].at(r, c)
		x, y := a.Data[r*n:(r+1)*n], b.Data[c*n:(c+1)*n]
		for i := range x {
			sum += x[i] * y[i]
		}
		return sum
	})
}

func (op *operation) elementwise(in []*Array, of func(x []float64) float64) *Array {
	out, x := New(op.result.element, op.result.dims...), make([]float64, len(in))
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

// binary is the function of two numbers that an operation computes; nil if it is none.
func binary(name string, predicate int) func(a, b float64) float64 {
	truth := func(of func(a, b float64) bool) func(a, b float64) float64 {
		return func(a, b float64) float64 {
			if of(a, b) {
				return 1
			}
			return 0
		}
	}
	switch name {
	case "arith.addf", "arith.addi":
		return func(a, b float64) float64 { return a + b }
	case "arith.subf":
		return func(a, b float64) float64 { return a - b }
	case "arith.mulf", "arith.muli":
		return func(a, b float64) float64 { return a * b }
	case "arith.divf":
		return func(a, b float64) float64 { return a / b }
	case "arith.maximumf":
		return math.Max
	case "arith.andi":
		return truth(func(a, b float64) bool { return a != 0 && b != 0 })
	case "arith.cmpi":
		return truth([]func(a, b float64) bool{
			func(a, b float64) bool { return a == b }, func(a, b float64) bool { return a != b }, func(a, b float64) bool { return a < b },
			func(a, b float64) bool { return a <= b }, func(a, b float64) bool { return a > b }, func(a, b float64) bool { return a >= b },
		}[predicate])
	case "arith.cmpf":
		if predicate == 1 { // ordered and equal
			return truth(func(a, b float64) bool { return a == b })
		}
	}
	return nil
}

// at is the number in a row and a column; a number or a single row or column is the same all along.
func (a *Array) at(row, column int) float64 {
	rows, columns := 1, 1
	switch len(a.Dims) {
	case 1:
		columns = a.Dims[0]
	case 2:
		rows, columns = a.Dims[0], a.Dims[1]
	}
	return a.Data[min(row, rows-1)*columns+min(column, columns-1)]
}

func (a *Array) fill(of func(row, column int) float64) {
	columns := a.Dims[len(a.Dims)-1]
	for i := range a.Data {
		a.Data[i] = of(i/columns, i%columns)
	}
}

func (a *Array) turned() *Array {
	out := New(a.Element, a.Dims[1], a.Dims[0])
	out.fill(func(r, c int) float64 { return a.Data[c*a.Dims[1]+r] })
	return out
}
