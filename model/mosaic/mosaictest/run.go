// Package mosaictest runs kernels of package mosaic in plain Go, from their text. So
// tests can compare the very text that a TPU gets with what it must compute. It knows
// the operations that those kernels use, with the rounding of each type, and refuses
// any other.
//
// It is written from the definitions of MLIR's dialects, and must not know how package
// mosaic writes them, or both would share a mistake. Begin with Run: parse.go takes the
// text apart, apply.go computes single operations.
package mosaictest

import (
	"fmt"
	"slices"

	"scored/model/kernel/kerneltest"
)

// Array is an operand or a value of a kernel.
type Array = kerneltest.Array

// Run runs a kernel's module. arrays are its operands, in order, and then its result,
// which it writes. It returns an error if the text is wrong, or reads or writes outside
// of an array. Points of the grid run one after the other, the last axis fastest.
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
	resident, windows := arrays[:kernel.resident], arrays[kernel.resident:]
	if len(windows) != len(kernel.windows) {
		return fmt.Errorf("kernel has %d windows, %d arrays are given for them", len(kernel.windows),
			len(windows))
	}
	for i := range kernel.grid[0] {
		for j := range kernel.grid[1] {
			at := []*Array{number("i32", float64(i)), number("i32", float64(j))}
			blocks := make([]*Array, len(windows)) // that the windows show at this point
			corners := make([][2]int, len(windows))
			for n, w := range kernel.windows {
				index := m.functions[w.index].run(slices.Concat(at, resident))
				corners[n] = [2]int{int(index[0].Data[0]) * w.rows, int(index[1].Data[0]) * w.columns}
				blocks[n] = cut(windows[n], corners[n], w.rows, w.columns)
			}
			kernel.body.run(slices.Concat(at, resident, blocks))
			last := len(windows) - 1 // the result's window
			paste(windows[last], corners[last], blocks[last])
		}
	}
	return nil
}

// number returns a number as an Array.
func number(element string, x float64) *Array {
	a := kerneltest.New(element)
	a.Data[0] = x
	return a
}

// cut copies [rows, columns] from a corner on. It panics if that reaches past the end of
// the array, which a kernel must not read.
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

// paste copies a block into an array from a corner on. It panics if the block reaches
// past the end of the array.
func paste(a *Array, corner [2]int, block *Array) {
	if corner[0]+block.Dims[0] > a.Dims[0] || corner[1]+block.Dims[1] > a.Dims[1] {
		panic(fmt.Sprintf("%v at %v is not inside %v", block.Dims, corner, a.Dims))
	}
	columns := block.Dims[1]
	for r := range block.Dims[0] {
		copy(a.Data[(corner[0]+r)*a.Dims[1]+corner[1]:], block.Data[r*columns:(r+1)*columns])
	}
}

// run runs the block of a function and returns the function's results.
func (b *block) run(inputs []*Array) []*Array {
	known := map[string]*Array{}
	return b.in(known, inputs)
}

// in runs a block inside of others, whose values are known by name, and adds its own.
// It returns the operands of the operation that ends the block.
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
		case "scf.for": // operands are from, to, step, and the initial state
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
