// Package mosaictest runs kernels of package mosaic in plain Go, from their text, so that tests can hold what a TPU will be
// given to what it shall compute. It knows the operations those kernels use, with the rounding of each type, and refuses any
// other. It is written from the definitions of MLIR's dialects, not from how package mosaic writes them.
package mosaictest

import (
	"fmt"
	"slices"

	"scored/model/kernel/kerneltest"
)

// Array is what kernels work on.
type Array = kerneltest.Array

// Run runs a kernel's module on arrays in the order of its operands and then its result, which it writes.
func Run(module string, arrays ...*Array) (err error) {
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
			at := []*Array{number("i32", float64(i)), number("i32", float64(j))}
			blocks := make([]*Array, len(windows))
			corners := make([][2]int, len(windows))
			for n, w := range kernel.windows {
				index := m.functions[w.index].run(slices.Concat(at, whole))
				corners[n] = [2]int{int(index[0].Data[0]) * w.rows, int(index[1].Data[0]) * w.columns}
				blocks[n] = cut(windows[n], corners[n], w.rows, w.columns)
			}
			kernel.body.run(slices.Concat(at, whole, blocks))
			last := len(windows) - 1
			paste(windows[last], corners[last], blocks[last])
		}
	}
	return nil
}

func number(element string, x float64) *Array {
	a := kerneltest.New(element)
	a.Data[0] = x
	return a
}

// cut copies [rows, columns] from a corner on; a kernel must not look past an array's end.
func cut(a *Array, corner [2]int, rows, columns int) *Array {
	if corner[0] < 0 || corner[1] < 0 || corner[0]+rows > a.Dims[0] || corner[1]+columns > a.Dims[1] {
		panic(fmt.Sprintf("[%d, %d] at %v is not inside %v", rows, columns, corner, a.Dims))
	}
	out := kerneltest.New(a.Element, rows, columns)
	for r := range rows {
		copy(out.Data[r*columns:(r+1)*columns], a.Data[(corner[0]+r)*a.Dims[1]+corner[1]:])
	}
	return out
}

func paste(a *Array, corner [2]int, block *Array) {
	if corner[0]+block.Dims[0] > a.Dims[0] || corner[1]+block.Dims[1] > a.Dims[1] {
		panic(fmt.Sprintf("%v at %v is not inside %v", block.Dims, corner, a.Dims))
	}
	columns := block.Dims[1]
	for r := range block.Dims[0] {
		copy(a.Data[(corner[0]+r)*a.Dims[1]+corner[1]:], block.Data[r*columns:(r+1)*columns])
	}
}

// run gives the function's results.
func (b *block) run(inputs []*Array) []*Array {
	known := map[string]*Array{}
	return b.in(known, inputs)
}

// in runs a block where names are known, and gives what its last operation returns or yields.
func (b *block) in(known map[string]*Array, inputs []*Array) []*Array {
	for i, name := range b.parameters {
		known[name] = inputs[i]
	}
	for _, op := range b.operations {
		operands := make([]*Array, len(op.operands))
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
			for i := operands[0].Data[0]; i < operands[1].Data[0]; i += operands[2].Data[0] {
				state = op.region.in(known, append([]*Array{number("i32", i)}, state...))
			}
			for i, name := range op.results {
				known[name] = state[i]
			}
		case "tpu.vector_store":
			paste(operands[1], [2]int{int(operands[2].Data[0]), int(operands[3].Data[0])}, operands[0])
		default:
			out := op.apply(operands)
			out.Round()
			known[op.results[0]] = out
		}
	}
	return nil
}
