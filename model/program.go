package model

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// device is one of a backend's devices.
type device struct {
	compute.Backend
	number compute.DeviceNum
}

// program is one compiled graph on one device. GoMLX reports faults by panicking; the
// methods turn panics into errors. They must not be called from several goroutines at a
// time.
type program struct {
	name   string
	graph  *graph.Graph
	device compute.DeviceNum
}

// parameters declares a graph's inputs, one after the other. run takes their arrays in
// the same order.
type parameters struct {
	g     *graph.Graph
	count int
}

// next declares the next input.
func (p *parameters) next(dtype dtypes.DType, dims ...int) *graph.Node {
	p.count++
	return p.named(fmt.Sprintf("p%d", p.count), shapes.Make(dtype, dims...))
}

// named declares the next input by a name that the program's text shows.
func (p *parameters) named(name string, shape shapes.Shape) *graph.Node {
	return graph.Parameter(p.g, name, shape)
}

// compile builds a graph and compiles it for the device.
func compile(
	on device, name string, build func(in *parameters) []*graph.Node,
) (p *program, err error) {
	defer recoverAs(&err, "program "+name+" does not compile")
	g := graph.NewGraph(on.Backend, name)
	if err := g.Compile(build(&parameters{g: g})...); err != nil {
		g.Finalize()
		return nil, fmt.Errorf("program %s does not compile: %w", name, err)
	}
	return &program{name: name, graph: g, device: on.number}, nil
}

// run queues the program, or runs it on a device that does not queue. inputs may be
// finalized once it has returned. The outputs are on the device; the caller finalizes
// them.
func (p *program) run(inputs ...*tensors.Tensor) (outputs []*tensors.Tensor, err error) {
	defer recoverAs(&err, "program "+p.name+" does not run")
	arguments := make([]any, len(inputs))
	for i, t := range inputs {
		arguments[i] = t
	}
	return p.graph.RunOnDevice(p.device, arguments...), nil
}

// update is run for a program whose first inputs are states and whose first outputs are
// the states after it, in the same memory if keepCaches has told the compiler so. The
// states given to it are gone afterwards, whether the program succeeds or not.
func (p *program) update(states, inputs []*tensors.Tensor) (outputs []*tensors.Tensor, err error) {
	defer recoverAs(&err, "program "+p.name+" does not run")
	backend := p.graph.Backend()
	n := len(states)
	buffers, donated := make([]compute.Buffer, n+len(inputs)), make([]bool, n+len(inputs))
	for i, t := range inputs {
		if buffers[n+i], err = t.Buffer(backend, p.device); err != nil {
			return nil, errors.Join(fmt.Errorf("program %s has no input %d: %w", p.name, n+i, err),
				finalize(states...))
		}
	}
	ran := false
	defer func() {
		for i := 0; i < n && !ran; i++ {
			if donated[i] {
				err = errors.Join(err, buffers[i].Finalize())
			} else {
				err = errors.Join(err, finalize(states[i]))
			}
		}
	}()
	for i, state := range states {
		if buffers[i], err = state.DonateBuffer(backend, p.device); err != nil {
			return nil, fmt.Errorf("program %s has no state: %w", p.name, err)
		}
		donated[i] = true
	}
	outputs = p.graph.RunWithBuffers(buffers, donated, p.device)
	ran = true
	return outputs, nil
}

// close frees the compiled program.
func (p *program) close() { p.graph.Finalize() }

// recoverAs turns a panic into an error. It must be deferred itself.
func recoverAs(err *error, what string) {
	switch fault := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("%s: %w", what, fault)
	default:
		*err = fmt.Errorf("%s: %v", what, fault)
	}
}
