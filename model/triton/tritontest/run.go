// Package tritontest runs kernels of package triton in plain Go, from their text. So
// tests can compare the very text that a GPU gets with what it must compute. It knows
// the operations that those kernels use, with the rounding of each type, and refuses
// any other.
//
// It is written from the definitions of MLIR's and Triton's dialects, and must not know
// how package triton writes them, or both would share a mistake. Begin with Run:
// parse.go takes the text apart, apply.go computes single operations.
package tritontest

import (
	"fmt"
	"slices"

	"scored/model/kernel/kerneltest"
)

// tensor is a number or an array of numbers or pointers. A pointer is the index of an
// element of memory.
type tensor struct {
	*kerneltest.Array
	memory *memory // that pointers point into; nil for numbers
}

// memory is an array that a kernel gets a pointer to.
type memory struct {
	*kerneltest.Array
	stores []int // how often each element was stored
}

// zeros returns a tensor of zeros.
func zeros(element string, dims ...int) *tensor {
	return &tensor{Array: kerneltest.New(element, dims...)}
}

func (a *tensor) kind() kind { return kind{a.Element, a.memory != nil, a.Dims} }

// Run runs a kernel's text at each point of a grid, one after the other. arrays are its
// operands, in order, and then its result, each element of which it must store exactly
// once. Run returns an error if it does not, if the text is wrong, or if a pointer
// leaves its array.
func Run(text string, grid [2]int, arrays ...*kerneltest.Array) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("kernel does not run: %v", fault)
		}
	}()
	f := parse(text)
	if len(arrays) != len(f.kinds) {
		return fmt.Errorf("kernel has %d parameters, %d arrays are given for them", len(f.kinds),
			len(arrays))
	}
	pointers := make([]*tensor, len(arrays))
	for i, a := range arrays {
		if want := f.kinds[i]; !want.pointer || want.element != a.Element {
			return fmt.Errorf("parameter %d is %v, an array of %s is given for it", i, want, a.Element)
		}
		pointers[i] = zeros(a.Element)
		pointers[i].memory = &memory{a, make([]int, len(a.Data))}
	}
	for x := range grid[0] {
		for y := range grid[1] {
			p := &point{known: map[string]*tensor{}, at: [2]int{x, y}}
			p.run(f.body, pointers)
		}
	}
	for i, n := range pointers[len(pointers)-1].memory.stores {
		if n != 1 {
			return fmt.Errorf("element %d of the result is stored %d times", i, n)
		}
	}
	return nil
}

// point is a run of the kernel at a point of the grid.
type point struct {
	known map[string]*tensor // values by name
	at    [2]int
}

// run runs a block and returns the operands of the operation that ends it.
func (p *point) run(b *block, inputs []*tensor) []*tensor {
	for i, name := range b.parameters {
		p.known[name] = inputs[i]
	}
	for _, op := range b.operations {
		in := make([]*tensor, len(op.operands))
		for i, name := range op.operands {
			if in[i] = p.known[name]; in[i] == nil {
				panic("value " + name + " is not defined")
			}
		}
		switch op.name {
		case "scf.yield", "tt.return", "tt.reduce.return":
			return in
		case "scf.for":
			for i, state := range p.loop(op, in) {
				p.known[op.results[i]] = state
			}
		case "tt.store":
			store(in[0], in[1])
		default:
			out := round(p.apply(op, in))
			if want := op.result(); fmt.Sprint(out.kind()) != fmt.Sprint(want) {
				panic(fmt.Sprintf("%s gives %v, its type is %v", op.name, out.kind(), want))
			}
			p.known[op.results[0]] = out
		}
	}
	return nil
}

// loop runs a loop and returns its last state. Each round must keep the types of the
// state, as MLIR demands.
func (p *point) loop(op *operation, in []*tensor) []*tensor {
	from, to, step, state := in[0].Data[0], in[1].Data[0], in[2].Data[0], in[3:]
	for i := from; i < to; i += step {
		state = p.run(op.region, append([]*tensor{integer(i)}, state...))
		for k, s := range state {
			if fmt.Sprint(s.kind()) != fmt.Sprint(op.types[k]) {
				panic(fmt.Sprintf("loop goes on with %v, its type is %v", s.kind(), op.types[k]))
			}
		}
	}
	return state
}

// integer returns an i32.
func integer(n float64) *tensor {
	return &tensor{Array: &kerneltest.Array{Element: "i32", Data: []float64{n}}}
}

// place returns the index that the i-th pointer of a tensor points to. It panics if that
// is outside of the array.
func (a *tensor) place(i int) int {
	at := a.Data[i]
	if at < 0 || at >= float64(len(a.memory.Data)) {
		panic(fmt.Sprintf("pointer to element %v of %v", at, a.memory.Dims))
	}
	return int(at)
}

// load reads the elements that pointers point to.
func load(from *tensor) *tensor {
	out := zeros(from.Element, from.Dims...)
	for i := range out.Data {
		out.Data[i] = from.memory.Data[from.place(i)]
	}
	return out
}

// store writes x to where pointers point, and counts it.
func store(to, x *tensor) {
	if x.Element != to.Element || !slices.Equal(x.Dims, to.Dims) {
		panic(fmt.Sprintf("%v is stored where %v is", x.kind(), to.kind()))
	}
	for i, v := range x.Data {
		at := to.place(i)
		to.memory.Data[at] = v
		to.memory.stores[at]++
	}
}

// round rounds each number to one that the element type has. Pointers are exact.
func round(a *tensor) *tensor {
	if a.memory == nil {
		a.Round()
	}
	return a
}
