package model

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score"
)

// ErrKernels tells that a device does not take kernels, or that they do not compute their formula there. Attention without
// kernels may work.
var ErrKernels = errors.New("kernels of attention do not work on this device")

// mostOff is how far a kernel's numbers may be from its formula's. Rounding to bfloat16 makes up to 0.05 of those that
// checkInputs makes up; a key too many or too few is off by more than twice as much somewhere.
const mostOff = 0.1

// checkBuckets are the shapes in which kernels are checked: with a prefix and without, the smallest in which kernels go over
// several blocks of tokens and of prefix keys, or else the largest.
func (n network) checkBuckets(buckets []score.Bucket) []score.Bucket {
	var chosen []score.Bucket
	for _, onPrefix := range []bool{false, true} {
		var best *score.Bucket
		for i, b := range buckets {
			if (b.Prefix > 0) == onPrefix && (best == nil || n.checksBetter(b, *best)) {
				best = &buckets[i]
			}
		}
		if best != nil {
			chosen = append(chosen, *best)
		}
	}
	return chosen
}

func (n network) checksBetter(a, b score.Bucket) bool {
	several := func(b score.Bucket) bool {
		by := n.kernelShape(n.by, b.Tokens, b.Prefix).Blocks()
		return b.Tokens >= 2*by.Tokens && (b.Prefix == 0 || b.Prefix >= 2*by.Context)
	}
	size := func(b score.Bucket) int { return b.Tokens * (b.Tokens + b.Prefix) }
	if several(a) != several(b) {
		return several(a)
	}
	return several(a) == (size(a) < size(b)) && size(a) != size(b)
}

func checkName(b score.Bucket) string { return fmt.Sprintf("check_t%d_p%d", b.Tokens, b.Prefix) }

// checked are two ranges of a context of b.Prefix keys, one right after the other, with keys before and behind that nobody
// sees. The last keys of the other, from new on, are new: the step's first tokens.
type checked struct {
	one, other [2]int
	new        int
}

func checkedIn(b score.Bucket) (c checked) {
	size := b.Prefix
	first, end := size/16+1, size-size/8
	middle := (first + end) / 2
	return checked{one: [2]int{first, middle}, other: [2]int{middle, end}, new: end - min(size, b.Tokens)/4}
}

// checkInputs are what a block's attention gets, made up: numbers between -2 and 2 that have nothing to do with those beside
// them. But the values of the first and the last key of each range are large, and of the keys before and behind that
// nobody sees larger.
func (n network) checkInputs(g *Graph, b score.Bucket) (qkv, angles *Node, w blockWeights, kept *Node) {
	e := n.HeadDim
	waves := func(every float64, dims ...int) *Node {
		size := 1
		for _, d := range dims {
			size *= d
		}
		return Reshape(MulScalar(Sin(MulScalar(float32s(iota(g, 0, size)), every)), 2), dims...)
	}
	qkv = waves(0.7548777, b.Tokens, (n.Heads+2*n.KVHeads)*e)
	angles = MulScalar(waves(0.5698403, b.Tokens, 2*e), 0.5)
	if n.QKNorm {
		w.queryNorm, w.keyNorm = waves(1.3247180, e), waves(1.2207441, e)
	} else {
		qkv = MulScalar(qkv, 0.5) // or a single key would have all the weight
	}
	if b.Prefix > 0 {
		c, lastValues := checkedIn(b), (2*n.KVHeads-1)*e
		kept = waves(0.4503599, b.Prefix, n.KVHeads*2*e)
		for _, seen := range [][2]int{c.one, c.other} {
			times := float64(seen[1]-seen[0]) / 8 // a key's weight is one of so many
			kept = large(kept, seen[0], lastValues, times)
			kept = large(kept, seen[1]-1, lastValues, times)
		}
		qkv = large(qkv, c.other[1]-1-c.new, (n.Heads+n.KVHeads)*e, float64(c.other[1]-c.other[0])/8)
		kept = large(large(kept, c.one[0]-1, lastValues, 1e4), c.other[1], 0, 1e4)
		kept = ConvertDType(kept, n.products)
	}
	return ConvertDType(qkv, n.products), angles, w, kept
}

// large is x with a row's numbers made larger from a column on.
func large(x *Node, row, column int, times float64) *Node {
	dims := x.Shape().Dimensions
	at := LogicalAnd(Equal(iota(x.Graph(), 0, dims...), scalarOf(x, row)), GreaterOrEqual(iota(x.Graph(), 1, dims...), scalarOf(x, column)))
	return Where(at, MulScalar(x, times), x)
}

func scalarOf(x *Node, n int) *Node {
	return BroadcastToDims(Scalar(x.Graph(), dtypes.Int32, n), x.Shape().Dimensions...)
}

// checkGraph computes attention both ways, by kernels and by their formula, and gives the largest difference.
func (n network) checkGraph(b score.Bucket) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		seen := n.reachParameters(in, shapeOf(b))
		qkv, angles, w, kept := n.checkInputs(seen.spans.Graph(), b)
		byKernels, _ := n.attendByKernels(qkv, angles, w, seen, kept)
		plain := n
		plain.marked = false
		byFormula, _ := plain.attendByKernels(qkv, angles, w, seen, kept)
		return []*Node{ReduceAllMax(Abs(Sub(float32s(byKernels), float32s(byFormula))))}
	}
}

// checkPacked is a step whose new tokens end the second range, and whose rows, of many lengths, see the first range, the
// second, or none, in turn.
func checkPacked(b score.Bucket) *packed {
	in := &packed{from: make([]int32, b.Tokens), visible: make([]int32, b.Tokens), start: make([]int32, b.Tokens)}
	t := 0
	add := func(seen [2]int, start int) {
		in.from[t], in.visible[t], in.start[t] = int32(seen[0]), int32(seen[1]), int32(start)
		t++
	}
	c := checkedIn(b)
	for key := range b.Prefix {
		place := key
		if key >= c.new && key < c.other[1] {
			place = b.Prefix + t
			add([2]int{c.other[0], key + 1}, t+1)
		}
		in.gathered = append(in.gathered, int32(place))
	}
	for row, length := 0, 1; t < b.Tokens; row, length = row+1, 2*length+1 {
		seen := [][2]int{c.one, c.other, {}}[row%3]
		for start := t; t < min(start+length, b.Tokens); {
			add(seen, start)
		}
	}
	return in
}

// checkKernels runs the programs of checkGraph.
func (e *Engine) checkKernels() error {
	for _, b := range e.net.checkBuckets(e.buckets) {
		off, err := e.checkKernelsIn(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKernels, err)
		}
		if !(off <= mostOff) { // NaN is wrong, too
			return fmt.Errorf("%w: numbers of %s are off by up to %v, %v is allowed", ErrKernels, checkName(b), off, mostOff)
		}
	}
	return nil
}

func (e *Engine) checkKernelsIn(b score.Bucket) (off float32, err error) {
	inputs := e.net.reachTensors(checkPacked(b), b)
	defer func() { err = errors.Join(err, finalize(inputs...)) }()
	outputs, err := e.programs.check[b].run(inputs...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, finalize(outputs...)) }()
	// Reading waits for the device, and gives its error.
	err = tensors.ConstFlatData(outputs[0], func(values []float32) { off = values[0] })
	return off, err
}
