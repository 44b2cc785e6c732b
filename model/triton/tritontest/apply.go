package tritontest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"scored/model/kernel/kerneltest"
)

// result returns the type that the text gives an operation's result. MLIR prints the
// types of the operands where they determine that of the result.
func (op *operation) result() kind {
	first, last := op.types[0], op.types[len(op.types)-1]
	switch {
	case strings.HasPrefix(op.name, "arith.cmp"):
		return kind{element: "i1", dims: first.dims}
	case op.name == "tt.addptr":
		return first
	case op.name == "tt.load":
		return kind{element: first.element, dims: first.dims}
	}
	return last
}

// apply returns the result of an operation that has one. The caller rounds its numbers.
func (p *point) apply(op *operation, in []*tensor) *tensor {
	switch op.name {
	case "tt.get_program_id":
		return integer(float64(p.at[strings.Index("xy", op.text)]))
	case "arith.constant":
		return op.constant()
	case "tt.make_range":
		out := zeros("i32", op.types[0].dims...)
		for i := range out.Data {
			out.Data[i] = float64(op.attribute("start") + i)
		}
		if op.attribute("end")-op.attribute("start") != len(out.Data) {
			panic("range has another length than its type")
		}
		return out
	case "tt.load":
		return load(in[0])
	case "tt.addptr":
		return elementwise(in[0].kind(), in, func(x []float64) float64 { return x[0] + x[1] })
	case "tt.reduce":
		return p.reduce(op, in[0])
	case "tt.dot":
		return multiply(in[0], in[1], in[2])
	}
	to := func() kind { return kind{op.result().element, false, in[0].Dims} }
	if of := kerneltest.Unary(op.name); of != nil {
		return elementwise(to(), in, func(x []float64) float64 { return of(x[0]) })
	}
	predicate, _, _ := strings.Cut(op.text, ",") // of a comparison, whose text begins with it
	if of := kerneltest.Binary(op.name, predicate); of != nil {
		return elementwise(to(), in, func(x []float64) float64 { return of(x[0], x[1]) })
	}
	return op.move(in)
}

// constant returns a number, or an array of one number.
func (op *operation) constant() *tensor {
	text := strings.TrimSuffix(strings.TrimPrefix(op.text, "dense<"), ">")
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	out := zeros(op.types[0].element, op.types[0].dims...)
	for i := range out.Data {
		out.Data[i] = x
	}
	return out
}

// move returns the result of an operation that takes numbers, or pointers, to other
// places.
func (op *operation) move(in []*tensor) *tensor {
	if op.name == "arith.select" {
		return choose(in[0], in[1], in[2])
	}
	out := zeros(in[0].Element, op.result().dims...)
	out.memory = in[0].memory // nil for numbers
	switch op.name {
	case "tt.splat", "tt.broadcast":
		if len(in[0].Dims) != 0 && len(in[0].Dims) != len(out.Dims) {
			panic("broadcast changes the number of axes")
		}
		for i := range out.Data {
			out.Data[i] = in[0].at(out.Dims, i)
		}
	case "tt.expand_dims":
		want := slices.Insert(slices.Clone(in[0].Dims), op.attribute("axis"), 1)
		if !slices.Equal(out.Dims, want) {
			panic(fmt.Sprintf("expand_dims of %v is %v, not %v", in[0].Dims, want, out.Dims))
		}
		copy(out.Data, in[0].Data)
	case "tt.trans":
		rows, columns := out.Dims[0], out.Dims[1]
		if !strings.Contains(op.text, "{order = array<i32: 1, 0>}") ||
			!slices.Equal(in[0].Dims, []int{columns, rows}) {
			panic("transposition is not one of two axes")
		}
		for i := range out.Data {
			out.Data[i] = in[0].Data[i%columns*rows+i/columns]
		}
	default:
		panic("operation " + op.name + " is not known")
	}
	return out
}

// at returns the number that a broadcast of the array to dims has at place i in row-major
// order. It panics if the array cannot be broadcast to dims.
func (a *tensor) at(dims []int, i int) float64 {
	place, step := 0, 1
	for axis := len(a.Dims) - 1; axis >= 0; axis-- {
		at := i % dims[axis]
		i /= dims[axis]
		switch a.Dims[axis] {
		case 1:
		case dims[axis]:
			place += at * step
		default:
			panic(fmt.Sprintf("%v cannot fill %v", a.Dims, dims))
		}
		step *= a.Dims[axis]
	}
	return a.Data[place]
}

// choose returns a where the condition holds and b elsewhere. The condition is one number
// for the whole, or one for each of its numbers.
func choose(where, a, b *tensor) *tensor {
	if where.Element != "i1" || fmt.Sprint(a.kind()) != fmt.Sprint(b.kind()) {
		panic(fmt.Sprintf("select between %v and %v by %v", a.kind(), b.kind(), where.kind()))
	}
	if where.Dims == nil {
		if where.Data[0] == 0 {
			a = b
		}
		copied := &kerneltest.Array{Element: a.Element, Dims: a.Dims, Data: slices.Clone(a.Data)}
		return &tensor{copied, a.memory}
	}
	return elementwise(a.kind(), []*tensor{where, a, b}, func(x []float64) float64 {
		if x[0] != 0 {
			return x[1]
		}
		return x[2]
	})
}

// reduce combines each row's numbers by the operation of the region, one after the other,
// and rounds to float32 each time. A GPU combines them in the order of a tree.
func (p *point) reduce(op *operation, x *tensor) *tensor {
	combine := op.region.operations[0]
	of, out := kerneltest.Binary(combine.name, ""), zeros(x.Element, x.Dims[0])
	columns := x.Dims[1]
	for r := range out.Data {
		out.Data[r] = x.Data[r*columns]
		for _, v := range x.Data[r*columns+1 : (r+1)*columns] {
			out.Data[r] = float64(float32(of(out.Data[r], v)))
		}
	}
	return out
}

// multiply returns a·b + c. Products of bfloat16 are exact in float64, and each sum is
// rounded once; a GPU rounds sums in float32 on the way.
func multiply(a, b, c *tensor) *tensor {
	rows, columns, n := a.Dims[0], b.Dims[1], a.Dims[1]
	if a.Element != "bf16" || b.Element != "bf16" || c.Element != "f32" || b.Dims[0] != n ||
		!slices.Equal(c.Dims, []int{rows, columns}) {
		panic(fmt.Sprintf("product of %v and %v and sum with %v", a.kind(), b.kind(), c.kind()))
	}
	out := zeros("f32", rows, columns)
	copy(out.Data, c.Data)
	kerneltest.AddProduct(out.Array, a.Array, b.Array)
	return out
}

// elementwise applies a function to the elements of tensors at the same place, which must
// all have the result's shape. A result of pointers points into the first one's memory.
func elementwise(to kind, in []*tensor, of func(x []float64) float64) *tensor {
	out, x := zeros(to.element, to.dims...), make([]float64, len(in))
	if to.pointer {
		out.memory = in[0].memory
	}
	for _, a := range in {
		if !slices.Equal(a.Dims, out.Dims) {
			panic(fmt.Sprintf("operation of %v gives %v", a.kind(), to))
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
