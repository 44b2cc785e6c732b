package mosaic_test

import (
	"fmt"
	"math"
	"slices"
)

// Kernels are run here in plain Go, from their text, to hold what a TPU will be given to what it shall compute. The runner knows
// the operations that kernels use, with the rounding of each type, and refuses any other. It is written from the definitions
// of MLIR's dialects, not from how package mosaic writes them.

// array is a number or an array in row-major order, each number one that its element type has.
type array struct {
	element string // f32, bf16, i32, i1 or index
	dims    []int
	data    []float64
}

// newArray is an array of zeros.
func newArray(element string, dims ...int) *array {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return &array{element, dims, make([]float64, size)}
}

// runKernel runs a kernel's module on arrays in the order of its operands and then its result, which it writes.
func runKernel(module string, arrays ...*array) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("kernel does not run: %v", fault)
		}
	}()
	m, err := parse(module)
	if err != nil {
		return err
	}
	kernel := m.kernel
	whole, windows := arrays[:kernel.whole], arrays[kernel.whole:]
	if len(windows) != len(kernel.windows) {
		return fmt.Errorf("kernel has %d windows, %d arrays are given for them", len(kernel.windows), len(windows))
	}
	for i := range kernel.grid[0] {
		for j := range kernel.grid[1] {
			at := []*array{number("i32", float64(i)), number("i32", float64(j))}
			blocks := make([]*array, len(windows))
			corners := make([][2]int, len(windows))
			for n, w := range kernel.windows {
				index := m.functions[w.index].run(slices.Concat(at, whole))
				corners[n] = [2]int{int(index[0].data[0]) * w.rows, int(index[1].data[0]) * w.columns}
				blocks[n] = cut(windows[n], corners[n], w.rows, w.columns)
			}
			kernel.body.run(slices.Concat(at, whole, blocks))
			last := len(windows) - 1
			paste(windows[last], corners[last], blocks[last])
		}
	}
	return nil
}

func number(element string, x float64) *array {
	a := newArray(element)
	a.data[0] = x
	return a
}

// cut copies [rows, columns] from a corner on; a kernel must not look past an array's end.
func cut(a *array, corner [2]int, rows, columns int) *array {
	if corner[0] < 0 || corner[1] < 0 || corner[0]+rows > a.dims[0] || corner[1]+columns > a.dims[1] {
		panic(fmt.Sprintf("[%d, %d] at %v is not inside %v", rows, columns, corner, a.dims))
	}
	out := newArray(a.element, rows, columns)
	for r := range rows {
		copy(out.data[r*columns:(r+1)*columns], a.data[(corner[0]+r)*a.dims[1]+corner[1]:])
	}
	return out
}

func paste(a *array, corner [2]int, block *array) {
	if corner[0]+block.dims[0] > a.dims[0] || corner[1]+block.dims[1] > a.dims[1] {
		panic(fmt.Sprintf("%v at %v is not inside %v", block.dims, corner, a.dims))
	}
	columns := block.dims[1]
	for r := range block.dims[0] {
		copy(a.data[(corner[0]+r)*a.dims[1]+corner[1]:], block.data[r*columns:(r+1)*columns])
	}
}

// run gives the function's results.
func (b *block) run(inputs []*array) []*array {
	known := map[string]*array{}
	return b.in(known, inputs)
}

// in runs a block where names are known, and gives what its last operation returns or yields.
func (b *block) in(known map[string]*array, inputs []*array) []*array {
	for i, name := range b.parameters {
		known[name] = inputs[i]
	}
	for _, op := range b.operations {
		operands := make([]*array, len(op.operands))
		for i, name := range op.operands {
			if operands[i] = known[name]; operands[i] == nil {
				panic("value " + name + " is not defined")
			}
		}
		switch op.name {
		case "func.return", "scf.yield":
			return operands
		case "scf.for":
			state := operands[3:]
			for i := operands[0].data[0]; i < operands[1].data[0]; i += operands[2].data[0] {
				state = op.region.in(known, append([]*array{number("i32", i)}, state...))
			}
			for i, name := range op.results {
				known[name] = state[i]
			}
		case "tpu.vector_store":
			paste(operands[1], [2]int{int(operands[2].data[0]), int(operands[3].data[0])}, operands[0])
		default:
			known[op.results[0]] = round(op.apply(operands))
		}
	}
	return nil
}

// round makes each number one that the element type has.
func round(a *array) *array {
	switch a.element {
	case "f32":
		for i, x := range a.data {
			a.data[i] = float64(float32(x))
		}
	case "bf16":
		for i, x := range a.data {
			a.data[i] = bfloat16(x)
		}
	}
	return a
}

// bfloat16 rounds to the nearest number of bfloat16, ties to even.
func bfloat16(x float64) float64 {
	bits := math.Float32bits(float32(x))
	if bits&0x7fffffff > 0x7f800000 {
		return math.NaN()
	}
	bits += 0x7fff + bits>>16&1
	return float64(math.Float32frombits(bits &^ 0xffff))
}
