package mosaic

import (
	"fmt"
	"strconv"

	"scored/model/kernel"
)

// text is a kernel being written: operations of MLIR in generic form, in Mosaic's stable
// dialect. Methods write an operation and return its result.
type text struct{ kernel.Text }

// value is the result of an operation.
type value struct {
	name string
	kind
}

// kind is the type of a value: a number, or an array of dims in registers or, with a
// memory, in that memory. Its text is MLIR's.
type kind struct {
	element string
	dims    []int
	memory  string // "vmem" or "smem"
}

func (k kind) String() string {
	if k.dims == nil {
		return k.element
	}
	shape := kernel.Dims(k.dims)
	if k.memory != "" {
		return fmt.Sprintf("memref<%s%s, #tpu.memory_space<%s>>", shape, k.element, k.memory)
	}
	return fmt.Sprintf("vector<%s%s>", shape, k.element)
}

// array returns the kind of an array in registers.
func array(element string, dims ...int) kind { return kind{element: element, dims: dims} }

// in returns the kind of such an array in a memory.
func (k kind) in(memory string) kind { return kind{k.element, k.dims, memory} }

// scalar returns the kind of a number.
func scalar(element string) kind { return kind{element: element} }

// op writes an operation with one result.
func (t *text) op(result kind, operation, attributes string, inputs ...value) value {
	out := value{t.Name(), result}
	t.Line("%s = %s -> %s", out.name, call(operation, attributes, inputs), result)
	return out
}

// do writes an operation without a result.
func (t *text) do(operation, attributes string, inputs ...value) {
	t.Line("%s -> ()", call(operation, attributes, inputs))
}

// call returns an operation with its operands and their types, without the result's.
func call(operation, attributes string, inputs []value) string {
	if attributes != "" {
		attributes = " {" + attributes + "}"
	}
	return fmt.Sprintf(`"stable_mosaic.%s"(%s)%s : (%s)`, operation, names(inputs), attributes,
		kinds(inputs))
}

func names(values []value) string {
	return kernel.Join(values, func(v value) string { return v.name })
}

func kinds(values []value) string {
	return kernel.Join(values, func(v value) string { return v.String() })
}

// constant returns an integer of a type.
func (t *text) constant(element string, n int) value {
	return t.op(scalar(element), "arith.constant", fmt.Sprintf("value = %d : %s", n, element))
}

// filled returns an array of one number.
func (t *text) filled(x float64, element string, dims ...int) value {
	one := t.op(scalar(element), "arith.constant",
		fmt.Sprintf("value = %s : %s", strconv.FormatFloat(x, 'e', 9, 64), element))
	return t.broadcast(one, dims...)
}

// broadcast repeats a number, or an array along axes of size 1, to fill dims.
func (t *text) broadcast(x value, dims ...int) value {
	return t.op(array(x.element, dims...), "vector.broadcast", "", x)
}

// binary writes an operation on two numbers or arrays of one shape. If b has a single
// row, it is used for each row of a.
func (t *text) binary(operation, attributes string, a, b value) value {
	if len(b.dims) == 2 && b.dims[0] == 1 && a.dims[0] > 1 {
		b = t.broadcast(b, a.dims...)
	}
	return t.op(a.kind, operation, attributes, a, b)
}

// Attributes that keep the compiler from changing results.
const (
	exactly    = "fastmath = #arith.fastmath<none>"
	noOverflow = "overflowFlags = #arith.overflow<none>"
)

func (t *text) add(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.addi", noOverflow, a, b)
	}
	return t.binary("arith.addf", exactly, a, b)
}

func (t *text) mul(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.muli", noOverflow, a, b)
	}
	return t.binary("arith.mulf", exactly, a, b)
}

func (t *text) sub(a, b value) value {
	if a.element == "i32" {
		return t.binary("arith.subi", noOverflow, a, b)
	}
	return t.binary("arith.subf", exactly, a, b)
}

func (t *text) div(a, b value) value { return t.binary("arith.divf", exactly, a, b) }

// max returns NaN where either is NaN.
func (t *text) max(a, b value) value { return t.binary("arith.maximumf", exactly, a, b) }

func (t *text) exp2(x value) value  { return t.op(x.kind, "math.exp2", exactly, x) }
func (t *text) ceil(x value) value  { return t.op(x.kind, "math.ceil", exactly, x) }
func (t *text) rsqrt(x value) value { return t.op(x.kind, "math.rsqrt", exactly, x) }

func (t *text) float32s(x value) value { return t.op(array("f32", x.dims...), "arith.extf", "", x) }
func (t *text) bfloat16s(x value) value {
	return t.op(array("bf16", x.dims...), "arith.truncf", "", x)
}

// lessUnsigned is a predicate of integers, by MLIR's number.
const lessUnsigned = 6

// compare compares a with b, which is broadcast to a.
func (t *text) compare(predicate int, a, b value) value {
	return t.op(array("i1", a.dims...), "arith.cmpi",
		fmt.Sprintf("predicate = %d : i64", predicate), a, t.broadcast(b, a.dims...))
}

// choose returns a where a condition holds, and b elsewhere.
func (t *text) choose(where, a, b value) value {
	return t.op(a.kind, "arith.select", "", where, a, b)
}

// iota returns 0, 1, 2… along axis.
func (t *text) iota(axis int, dims ...int) value {
	return t.op(array("i32", dims...), "tpu.iota", fmt.Sprintf("dimensions = array<i32: %d>", axis))
}

// concat concatenates arrays along axis.
func (t *text) concat(axis int, parts ...value) value {
	if len(parts) == 1 {
		return parts[0]
	}
	out := kind{element: parts[0].element, dims: append([]int{}, parts[0].dims...)}
	for _, p := range parts[1:] {
		out.dims[axis] += p.dims[axis]
	}
	return t.op(out, "tpu.concatenate", fmt.Sprintf("dimension = %d : i32", axis), parts...)
}

// slice returns [rows, columns] of x.
func (t *text) slice(x value, row, rows, column, columns int) value {
	if row == 0 && column == 0 && rows == x.dims[0] && columns == x.dims[1] {
		return x
	}
	return t.op(array(x.element, rows, columns), "vector.extract_strided_slice",
		fmt.Sprintf("offsets = [%d, %d], sizes = [%d, %d], strides = [1, 1]", row, column, rows,
			columns), x)
}

// reduceRows reduces each column of x to one number, by kind add or maximumf, and
// returns them as one row. from is the reduction's initial value.
func (t *text) reduceRows(kindOf string, from float64, x value) value {
	start := t.filled(from, x.element, x.dims[1])
	row := t.op(array(x.element, x.dims[1]), "vector.multi_reduction",
		fmt.Sprintf("kind = #vector.kind<%s>, reduction_dims = array<i64: 0>", kindOf), x, start)
	return t.op(array(x.element, 1, x.dims[1]), "vector.shape_cast", "", row)
}

// product is a matrix product in float32 that contracts axis i of a with axis j of b.
func (t *text) product(a value, i int, b value, j int) value {
	rows, columns := a.dims[1-i], b.dims[1-j]
	zero := t.filled(0, "f32", rows, columns)
	return t.op(zero.kind, "tpu.matmul",
		fmt.Sprintf("dimension_numbers = #tpu.dot_dimension_numbers<[%d], [%d], [%d], [%d], [0, "+
			"%d, 1, %d], [], []>, "+
			"transpose_lhs = false, transpose_lhs_hint = false, transpose_rhs = false", i, j, 1-i, 1-j,
			1-i, 1-j), a, b, zero)
}

// transpose swaps the axes of a matrix.
func (t *text) transpose(x value) value {
	return t.op(array(x.element, x.dims[1], x.dims[0]), "tpu.transpose",
		"permutation = array<i64: 1, 0>", x)
}

// rotate moves each row's numbers by so many places; the last come to the front.
func (t *text) rotate(x value, places int) value {
	return t.op(x.kind, "tpu.dynamic_rotate", "dimension = 1 : si32", x, t.constant("i32", places))
}

// load reads [rows, columns] from memory. The first row may be known only when the
// kernel runs.
func (t *text) load(from value, row value, rows, column, columns int) value {
	return t.op(array(from.element, rows, columns), "vector.load", "", from, row,
		t.constant("index", column))
}

// store writes a matrix to the first rows of memory, from a column on.
func (t *text) store(x, to value, column int) {
	t.do("tpu.vector_store", "add = false, operandSegmentSizes = array<i32: 1, 1, 2, 0>, strides "+
		"= array<i32>",
		x, to, t.constant("index", 0), t.constant("index", column))
}

// index returns the index of a block's first row, for blocks of so many rows.
func (t *text) index(block value, rows int) value {
	if rows > 1 {
		block = t.op(block.kind, "tpu.assume_multiple", fmt.Sprintf("multiple = %d : i32", rows),
			t.mul(block, t.constant("i32", rows)))
	}
	return t.op(scalar("index"), "arith.index_cast", "", block)
}

// loop runs body for from, from+1, … below to. body receives what it returned the time
// before, and carried the first time.
func (t *text) loop(from, to value, carried []value,
	body func(i value, carried []value) []value) []value {
	result, one := t.Name(), t.constant("i32", 1)
	inputs := append([]value{from, to, one}, carried...)
	inside := append([]value{}, carried...)
	i := value{t.Name(), scalar("i32")}
	for k := range inside {
		inside[k].name = t.Name()
	}
	t.Line(`%s:%d = "stable_mosaic.scf.for"(%s) ({`, result, len(carried), names(inputs))
	t.Line("^bb0(%s):", parameters(append([]value{i}, inside...)))
	t.Inside(func() { t.do("scf.yield", "", body(i, inside)...) })
	t.Line("}) : (%s) -> (%s)", kinds(inputs), kinds(carried))
	out := append([]value{}, carried...)
	for k := range out {
		out[k].name = kernel.Result(result, k)
	}
	return out
}

func parameters(values []value) string {
	return kernel.Join(values, func(v value) string { return v.name + ": " + v.String() })
}
