package model

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// ErrKernels means that the device does not take kernels, or that they do not compute
// their formula there. Attention without kernels may work.
var ErrKernels = errors.New("kernels of attention do not work on this device")

// mostOff is how far a kernel's numbers may be from its formula's, for the inputs of
// checkInputs. Rounding to bfloat16 moves them by up to 0.05. A key too many or too few
// moves one of them by more than twice as much as is allowed.
const mostOff = 0.1

// check is a program that computes attention in two ways and returns the largest
// difference.
type check struct {
	name   string
	build  func(in *parameters) []*Node
	inputs func() []*tensors.Tensor
}

// run runs the check's program. It returns an error if the difference is too large.
func (c check) run(p *program) (err error) {
	inputs := c.inputs()
	defer func() { err = errors.Join(err, finalize(inputs...)) }()
	outputs, err := p.run(inputs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(outputs...)) }()
	off := float32(0)
	// Reading waits for the device, and returns its error.
	if err := tensors.ConstFlatData(outputs[0],
		func(values []float32) { off = values[0] }); err != nil {
		return err
	}
	if !(off <= mostOff) { // NaN is wrong, too
		return fmt.Errorf("numbers of %s are off by up to %v, %v is allowed", c.name, off, mostOff)
	}
	return nil
}

// checks implements attention.
func (p packed) checks(buckets []plan.Bucket) (all []check) {
	if !p.called {
		return nil
	}
	for _, b := range p.checkBuckets(buckets) {
		all = append(all, check{fmt.Sprintf("check_t%d_c%d", b.Tokens, b.Context), p.checkGraph(b),
			func() []*tensors.Tensor { return p.checkTensors(b) }})
	}
	return all
}

// checkBuckets returns the shapes in which kernels are checked, one without a context
// and one with it: the smallest in which kernels go over several blocks of tokens and
// of context keys, or else the largest.
func (p packed) checkBuckets(buckets []plan.Bucket) []plan.Bucket {
	var chosen []plan.Bucket
	for _, onContext := range []bool{false, true} {
		var best *plan.Bucket
		for i, b := range buckets {
			if (b.Context > 0) == onContext && (best == nil || p.checksBetter(b, *best)) {
				best = &buckets[i]
			}
		}
		if best != nil {
			chosen = append(chosen, *best)
		}
	}
	return chosen
}

// checksBetter reports whether a is the better shape for a check.
func (p packed) checksBetter(a, b plan.Bucket) bool {
	several := func(b plan.Bucket) bool {
		by := p.kernels.shape(b.Tokens, b.Context).Blocks()
		return b.Tokens >= 2*by.Tokens && (b.Context == 0 || b.Context >= 2*by.Context)
	}
	size := func(b plan.Bucket) int { return b.Tokens * (b.Tokens + b.Context) }
	if several(a) != several(b) {
		return several(a)
	}
	return several(a) == (size(a) < size(b)) && size(a) != size(b)
}

// checked has the ranges of the context's keys that checkLayout's tokens attend to: one
// right after the other, and none at all. No token attends to the keys before and
// behind. Those from new on are new: they belong to the step's first tokens.
type checked struct {
	one, other, none [2]int
	new              int
}

func checkedIn(b plan.Bucket) checked {
	first, end := b.Context/16+1, b.Context-b.Context/8
	middle := (first + end) / 2
	return checked{one: [2]int{first, middle}, other: [2]int{middle, end},
		new: end - min(b.Context, b.Tokens)/4}
}

// checkLayout returns a step whose new tokens end the second range. Its rows, of many
// lengths, attend to the first range, the second and none in turn.
func checkLayout(b plan.Bucket) *layout {
	l := &layout{from: make([]int32, b.Tokens), to: make([]int32, b.Tokens),
		start: make([]int32, b.Tokens)}
	t := 0
	add := func(seen [2]int, start int) {
		l.from[t], l.to[t], l.start[t] = int32(seen[0]), int32(seen[1]), int32(start)
		t++
	}
	c := checkedIn(b)
	if b.Context > 0 {
		for key := c.new; key < c.other[1]; key++ {
			add([2]int{c.other[0], key + 1}, t+1)
		}
	}
	for row, length := 0, 1; t < b.Tokens; row, length = row+1, 2*length+1 {
		seen := [][2]int{c.one, c.other, c.none}[row%3]
		if b.Context == 0 {
			seen = c.none
		}
		for start := t; t < min(start+length, b.Tokens); {
			add(seen, start)
		}
	}
	return l
}

// checkTensors returns the inputs of checkGraph.
func (p packed) checkTensors(b plan.Bucket) []*tensors.Tensor {
	l := checkLayout(b)
	return append([]*tensors.Tensor{l.ranges()}, p.pack(l, shapeOf(b))...)
}

// checkInputs makes the inputs of a layer's attention: numbers between -2 and 2 that are
// unlike their neighbours. The values of the first and the last key of each range are
// larger, so that a kernel that leaves one out is found. The values of the keys before
// and behind are larger still, so that one that takes them in is found. The context is
// nil in a bucket without one.
func (p packed) checkInputs(g *Graph, b plan.Bucket) (qkv, angles *Node, w layerWeights,
	context *Node) {
	e := p.HeadDim
	waves := func(every float64, dims ...int) *Node {
		size := 1
		for _, d := range dims {
			size *= d
		}
		return Reshape(MulScalar(Sin(MulScalar(float32s(iota(g, 0, size)), every)), 2), dims...)
	}
	qkv = waves(0.7548777, b.Tokens, (p.Heads+2*p.KVHeads)*e)
	angles = MulScalar(waves(0.5698403, b.Tokens, 2*e), 0.5)
	if p.QKNorm {
		w.queryNorm, w.keyNorm = waves(1.3247180, e), waves(1.2207441, e)
	} else {
		qkv = MulScalar(qkv, 0.5) // or a single key would have all the weight
	}
	if b.Context > 0 {
		c, lastValues := checkedIn(b), (2*p.KVHeads-1)*e
		context = waves(0.4503599, b.Context, p.KVHeads*2*e)
		for _, seen := range [][2]int{c.one, c.other} {
			times := float64(seen[1]-seen[0]) / 8 // a key's weight is one of so many
			context = large(context, seen[0], lastValues, times)
			context = large(context, seen[1]-1, lastValues, times)
		}
		context = large(large(context, c.one[0]-1, lastValues, 1e4), c.other[1], 0, 1e4)
		context = ConvertDType(context, p.products)
	}
	return ConvertDType(qkv, p.products), angles, w, context
}

// large multiplies a row's numbers of x, from a column on.
func large(x *Node, row, column int, times float64) *Node {
	dims := x.Shape().Dimensions
	at := LogicalAnd(Equal(iota(x.Graph(), 0, dims...), scalarOf(x, row)),
		GreaterOrEqual(iota(x.Graph(), 1, dims...), scalarOf(x, column)))
	return Where(at, MulScalar(x, times), x)
}

// scalarOf returns an array of the integer n, of x's shape.
func scalarOf(x *Node, n int) *Node {
	return BroadcastToDims(Scalar(x.Graph(), dtypes.Int32, n), x.Shape().Dimensions...)
}

// checkGraph builds the program that computes attention by kernels and by their formula,
// on the same inputs.
func (p packed) checkGraph(b plan.Bucket) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		v := viewParameters(in, p, shapeOf(b))
		qkv, angles, w, made := p.checkInputs(in.g, b)
		var keep func(*Node) contextKeys
		if made != nil {
			keep = func(*Node) contextKeys { return contextKeys{whole: made} }
		}
		plain := p
		plain.called = false
		byKernels, byFormula := p.attend(qkv, angles, w, v, keep), plain.attend(qkv, angles, w, v, keep)
		return []*Node{ReduceAllMax(Abs(Sub(float32s(byKernels), float32s(byFormula))))}
	}
}
