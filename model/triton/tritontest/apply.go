package tritontest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// result is the type that the text gives an operation's result.
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

// apply gives the result of an operation that has one; its numbers are rounded after.
func (p *point) apply(op *operation, in []*Array) *Array {
	switch op.name {
	case "tt.get_program_id":
		return whole(float64(p.at[strings.Index("xy", op.text)]))
	case "arith.constant":
		return op.constant()
	case "tt.make_range":
		out := New("i32", op.types[0].dims...)
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
		return elementwise(kind{in[0].Element, true, in[0].Dims}, in, func(x []float64) float64 { return x[0] + x[1] })
	case "tt.reduce":
		return p.reduce(op, in[0])
	case "tt.dot":
		return multiply(in[0], in[1], in[2])
	}
	if of := function1(op.name); of != nil {
		return elementwise(kind{op.result().element, false, in[0].Dims}, in, func(x []float64) float64 { return of(x[0]) })
	}
	predicate, _, _ := strings.Cut(op.text, ",")
	if of := function2(op.name, predicate); of != nil {
		return elementwise(kind{op.result().element, false, in[0].Dims}, in, func(x []float64) float64 { return of(x[0], x[1]) })
	}
	return op.move(in)
}

// constant is a number, or an array of one number.
func (op *operation) constant() *Array {
	text := strings.TrimSuffix(strings.TrimPrefix(op.text, "dense<"), ">")
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	out := New(op.types[0].element, op.types[0].dims...)
	for i := range out.Data {
		out.Data[i] = x
	}
	return out
}

// move is an operation that takes numbers, or pointers, to other places.
func (op *operation) move(in []*Array) *Array {
	if op.name == "arith.select" {
		return choose(in[0], in[1], in[2])
	}
	out := New(in[0].Element, op.result().dims...)
	out.memory = in[0].memory
	switch op.name {
	case "tt.splat", "tt.broadcast":
		if len(in[0].Dims) != 0 && len(in[0].Dims) != len(out.Dims) {
			panic("broadcast changes the number of axes")
		}
		for i := range out.Data {
			out.Data[i] = in[0].at(out.Dims, i)
		}
	case "tt.expand_dims":
		if want := slices.Insert(slices.Clone(in[0].Dims), op.attribute("axis"), 1); !slices.Equal(out.Dims, want) {
			panic(fmt.Sprintf("expand_dims of %v is %v, not %v", in[0].Dims, want, out.Dims))
		}
		copy(out.Data, in[0].Data)
	case "tt.trans":
		rows, columns := out.Dims[0], out.Dims[1]
		if !strings.Contains(op.text, "{order = array<i32: 1, 0>}") || !slices.Equal(in[0].Dims, []int{columns, rows}) {
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

// at is the number that a broadcast of the array to dims has at place i.
func (a *Array) at(dims []int, i int) float64 {
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

// choose takes a where the condition holds, which is one number for all of it or one for each of its numbers.
func choose(where, a, b *Array) *Array {
	if where.Element != "i1" || fmt.Sprint(a.kind()) != fmt.Sprint(b.kind()) {
		panic(fmt.Sprintf("select between %v and %v by %v", a.kind(), b.kind(), where.kind()))
	}
	if where.Dims == nil {
		if where.Data[0] != 0 {
			return &Array{a.Element, a.Dims, slices.Clone(a.Data), a.memory}
		}
		return &Array{b.Element, b.Dims, slices.Clone(b.Data), b.memory}
	}
	return elementwise(a.kind(), []*Array{where, a, b}, func(x []float64) float64 {
		if x[0] != 0 {
			return x[1]
		}
		return x[2]
	})
}

// reduce combines each row's numbers by the operation of the region, one after the other.
func (p *point) reduce(op *operation, x *Array) *Array {
	combine := op.region.operations[0]
	of, out := function2(combine.name, ""), New(x.Element, x.Dims[0])
	columns := x.Dims[1]
	for r := range out.Data {
		out.Data[r] = x.Data[r*columns]
		for _, v := range x.Data[r*columns+1 : (r+1)*columns] {
			out.Data[r] = float64(float32(of(out.Data[r], v)))
		}
	}
	return out
}

// multiply is a·b + c: products of bfloat16 are exact, and their sum is rounded once.
func multiply(a, b, c *Array) *Array {
	rows, columns, n := a.Dims[0], b.Dims[1], a.Dims[1]
	if a.Element != "bf16" || b.Element != "bf16" || c.Element != "f32" || b.Dims[0] != n || !slices.Equal(c.Dims, []int{rows, columns}) {
		panic(fmt.Sprintf("product of %v and %v and sum with %v", a.kind(), b.kind(), c.kind()))
	}
	out := New("f32", rows, columns)
	copy(out.Data, c.Data)
	for r := range rows {
		sums := out.Data[r*columns : (r+1)*columns]
		for i, x := range a.Data[r*n : (r+1)*n] {
			for column, y := range b.Data[i*columns : (i+1)*columns] {
				sums[column] += x * y
			}
		}
	}
	return out
}

func elementwise(to kind, in []*Array, of func(x []float64) float64) *Array {
	out, x := New(to.element, to.dims...), make([]float64, len(in))
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

// function1 is the function of one number that an operation computes; nil if it is none.
func function1(name string) func(x float64) float64 {
	switch name {
	case "arith.extf", "arith.truncf":
		return func(x float64) float64 { return x }
	case "math.exp2":
		return math.Exp2
	case "math.ceil":
		return math.Ceil
	case "math.rsqrt":
		return func(x float64) float64 { return 1 / math.Sqrt(x) }
	}
	return nil
}

// function2 is the same of two numbers.
func function2(name, predicate string) func(a, b float64) float64 {
	truth := func(of func(a, b float64) bool) func(a, b float64) float64 {
		return func(a, b float64) float64 {
			if of(a, b) {
				return 1
			}
			return 0
		}
	}
	unsigned := func(x float64) uint32 { return uint32(int32(x)) }
	switch name + " " + predicate {
	case "arith.cmpi slt":
		return truth(func(a, b float64) bool { return a < b })
	case "arith.cmpi ult":
		return truth(func(a, b float64) bool { return unsigned(a) < unsigned(b) })
	case "arith.cmpf oeq":
		return truth(func(a, b float64) bool { return a == b })
	}
	switch name {
	case "arith.addf", "arith.addi":
		return func(a, b float64) float64 { return a + b }
	case "arith.subf", "arith.subi":
		return func(a, b float64) float64 { return a - b }
	case "arith.mulf", "arith.muli":
		return func(a, b float64) float64 { return a * b }
	case "arith.divf":
		return func(a, b float64) float64 { return a / b }
	case "arith.divsi":
		return func(a, b float64) float64 { return math.Trunc(a / b) }
	case "arith.remsi":
		return math.Mod
	case "arith.maximumf":
		return math.Max
	}
	return nil
}
