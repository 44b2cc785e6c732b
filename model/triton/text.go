package triton

import (
	"fmt"
	"strconv"
	"strings"

	"scored/model/kernel"
)

// text is a kernel being written: Triton MLIR in the form in which Triton itself prints
// it. Methods write an operation and return its result.
type text struct{ kernel.Text }

// value is the result of an operation.
type value struct {
	name string
	kind
}

// kind is the type of a value: a number, a tensor of dims, or pointers to such. Its
// text is MLIR's.
type kind struct {
	element string
	dims    []int
	pointer bool
}

func (k kind) String() string {
	element := k.element
	if k.pointer {
		element = "!tt.ptr<" + element + ">"
	}
	if k.dims == nil {
		return element
	}
	return "tensor<" + kernel.Dims(k.dims) + element + ">"
}

// tensor returns the kind of a tensor of numbers.
func tensor(element string, dims ...int) kind { return kind{element: element, dims: dims} }

// of returns the kind with another element type.
func (k kind) of(element string) kind { return kind{element: element, dims: k.dims} }

// op writes an operation with one result. format is all that follows its name.
func (t *text) op(result kind, operation, format string, arguments ...any) value {
	out := value{t.Name(), result}
	t.Line("%s = %s %s", out.name, operation, fmt.Sprintf(format, arguments...))
	return out
}

// program returns where in the grid the kernel runs, along axis x or y.
func (t *text) program(axis string) value {
	return t.op(kind{element: "i32"}, "tt.get_program_id", "%s : i32", axis)
}

// constant returns an integer, an i32.
func (t *text) constant(n int) value {
	return t.op(kind{element: "i32"}, "arith.constant", "%d : i32", n)
}

// filled returns a tensor of one number, which is rounded to an integer for i32.
func (t *text) filled(x float64, element string, dims ...int) value {
	number := strconv.FormatFloat(x, 'e', 9, 64)
	if element == "i32" {
		number = strconv.Itoa(int(x))
	}
	k := tensor(element, dims...)
	return t.op(k, "arith.constant", "dense<%s> : %s", number, k)
}

// iota returns 0, 1, 2… below n.
func (t *text) iota(n int) value {
	k := tensor("i32", n)
	return t.op(k, "tt.make_range", "{end = %d : i32, start = 0 : i32} : %s", n, k)
}

// broadcast repeats a number, or a tensor along axes of size 1, to fill dims.
func (t *text) broadcast(x value, dims ...int) value {
	to := kind{x.element, dims, x.pointer}
	if x.dims == nil {
		return t.op(to, "tt.splat", "%s : %s -> %s", x.name, x.kind, to)
	}
	return t.op(to, "tt.broadcast", "%s : %s -> %s", x.name, x.kind, to)
}

// column returns a vector as a column [n, 1], row as a row [1, n].
func (t *text) column(x value) value { return t.expand(x, 1, x.dims[0], 1) }
func (t *text) row(x value) value    { return t.expand(x, 0, 1, x.dims[0]) }

// expand adds an axis of size 1; dims are the axes after that.
func (t *text) expand(x value, axis int, dims ...int) value {
	to := kind{x.element, dims, x.pointer}
	return t.op(to, "tt.expand_dims", "%s {axis = %d : i32} : %s -> %s", x.name, axis, x.kind, to)
}

// like broadcasts a number, row or column to the shape of x.
func (t *text) like(a, x value) value {
	if fmt.Sprint(a.dims) == fmt.Sprint(x.dims) {
		return a
	}
	return t.broadcast(a, x.dims...)
}

// binary writes an operation on two tensors. b may be a number, row or column, which is
// broadcast to a.
func (t *text) binary(operation string, a, b value) value {
	b = t.like(b, a)
	return t.op(a.kind, operation, "%s, %s : %s", a.name, b.name, a.kind)
}

func (t *text) add(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.addi", a, b)
	}
	return t.binary("arith.addf", a, b)
}

func (t *text) sub(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.subi", a, b)
	}
	return t.binary("arith.subf", a, b)
}

func (t *text) mul(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.muli", a, b)
	}
	return t.binary("arith.mulf", a, b)
}

// div rounds integers towards 0; they are not negative here.
func (t *text) div(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.divsi", a, b)
	}
	return t.binary("arith.divf", a, b)
}

func (t *text) rem(a, b value) value { return t.binary("arith.remsi", a, b) }

// max returns NaN where either is NaN.
func (t *text) max(a, b value) value { return t.binary("arith.maximumf", a, b) }

// times and plus take an integer for their second operand.
func (t *text) times(a value, n int) value { return t.mul(a, t.constant(n)) }

func (t *text) plus(a value, n int) value { return t.add(a, t.constant(n)) }

func (t *text) unary(operation string, x value) value {
	return t.op(x.kind, operation, "%s : %s", x.name, x.kind)
}

func (t *text) exp2(x value) value { return t.unary("math.exp2", x) }

func (t *text) float32s(x value) value  { return t.convert("arith.extf", x, "f32") }
func (t *text) bfloat16s(x value) value { return t.convert("arith.truncf", x, "bf16") }

func (t *text) convert(operation string, x value, element string) value {
	to := x.of(element)
	return t.op(to, operation, "%s : %s to %s", x.name, x.kind, to)
}

// compare compares integers by ult or slt, or floats by oeq.
func (t *text) compare(predicate string, a, b value) value {
	operation := "arith.cmpf"
	if a.element == "i32" {
		operation = "arith.cmpi"
	}
	b = t.like(b, a)
	return t.op(a.of("i1"), operation, "%s, %s, %s : %s", predicate, a.name, b.name, a.kind)
}

// choose returns a where a condition holds, and b elsewhere. The condition may be one
// number for the whole.
func (t *text) choose(where, a, b value) value {
	if where.dims == nil {
		return t.op(a.kind, "arith.select", "%s, %s, %s : %s", where.name, a.name, b.name, a.kind)
	}
	return t.op(a.kind, "arith.select", "%s, %s, %s : %s, %s", where.name, a.name, b.name,
		where.kind, a.kind)
}

// reduce reduces each row of x to one number, by an operation such as arith.addf, and
// returns them as a vector.
func (t *text) reduce(operation string, x value) value {
	out := value{t.Name(), tensor(x.element, x.dims[0])}
	a, b, c := t.Name(), t.Name(), t.Name()
	t.Line(`%s = "tt.reduce"(%s) <{axis = 1 : i32}> ({`, out.name, x.name)
	t.Line("^bb0(%s: %s, %s: %s):", a, x.element, b, x.element)
	t.Line("  %s = %s %s, %s : %s", c, operation, a, b, x.element)
	t.Line("  tt.reduce.return %s : %s", c, x.element)
	t.Line("}) : (%s) -> %s", x.kind, out.kind)
	return out
}

// product returns a·b + c, in float32.
func (t *text) product(a, b, c value) value {
	return t.op(c.kind, "tt.dot", "%s, %s, %s, inputPrecision = tf32 : %s * %s -> %s", a.name,
		b.name, c.name, a.kind, b.kind, c.kind)
}

// transpose swaps the axes of a matrix.
func (t *text) transpose(x value) value {
	to := tensor(x.element, x.dims[1], x.dims[0])
	return t.op(to, "tt.trans", "%s {order = array<i32: 1, 0>} : %s -> %s", x.name, x.kind, to)
}

// at returns pointers offset by elements, one for each of them.
func (t *text) at(base, elements value) value {
	base = t.like(base, elements)
	return t.op(base.kind, "tt.addptr", "%s, %s : %s, %s", base.name, elements.name, base.kind,
		elements.kind)
}

// load reads the elements of base at these offsets.
func (t *text) load(base, elements value) value {
	from := t.at(base, elements)
	return t.op(kind{element: base.element, dims: from.dims}, "tt.load", "%s : %s", from.name,
		from.kind)
}

// store writes x to the elements of base at these offsets.
func (t *text) store(x, base, elements value) {
	to := t.at(base, elements)
	t.Line("tt.store %s, %s : %s", to.name, x.name, to.kind)
}

// grid returns the offsets of a matrix's elements in memory. rows and columns are
// vectors of the offsets of each.
func (t *text) grid(rows, columns value) value {
	all := t.broadcast(t.column(rows), rows.dims[0], columns.dims[0])
	return t.add(all, t.row(columns))
}

// loop runs body for 0, 1, … below to. body receives what it returned the time before,
// and carried the first time.
func (t *text) loop(to value, carried []value,
	body func(i value, carried []value) []value) []value {
	from, one := t.constant(0), t.constant(1)
	result, i := t.Name(), value{t.Name(), kind{element: "i32"}}
	inside, kinds, begin := append([]value{}, carried...), make([]string, len(carried)),
		make([]string, len(carried))
	for k, c := range carried {
		inside[k].name = t.Name()
		kinds[k], begin[k] = c.String(), inside[k].name+" = "+c.name
	}
	t.Line("%s:%d = scf.for %s = %s to %s step %s iter_args(%s) -> (%s)  : i32 {", result,
		len(carried), i.name, from.name, to.name, one.name,
		strings.Join(begin, ", "), strings.Join(kinds, ", "))
	t.Inside(func() { t.Line("scf.yield %s : %s", names(body(i, inside)), strings.Join(kinds, ", ")) })
	t.Line("}")
	out := append([]value{}, carried...)
	for k := range out {
		out[k].name = kernel.Result(result, k)
	}
	return out
}

func names(values []value) string {
	return kernel.Join(values, func(v value) string { return v.name })
}
