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
		s := n.kernelShape(n.by, b.Tokens, b.Prefix)
		return b.Tokens >= 2*s.Block() && (b.Prefix == 0 || b.Prefix >= 2*s.PrefixBlock())
	}
	size := func(b score.Bucket) int { return b.Tokens * (b.Tokens + b.Prefix) }
	if several(a) != several(b) {
		return several(a)
	}
	return several(a) == (size(a) < size(b)) && size(a) != size(b)
}

func checkName(b score.Bucket) string { return fmt.Sprintf("check_t%d_p%d", b.Tokens, b.Prefix) }

// checkInputs are what a block's attention gets, made up: numbers between -2 and 2 that have nothing to do with those beside
// them, but for two. The values of the last prefix key that rows see are large, and of the first that they do not see larger.
func (n network) checkInputs(g *Graph, step *score.Step) (qkv, angles *Node, w blockWeights, kept *Node) {
	b, e := step.Bucket, n.HeadDim
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
		held := step.Kept + step.New
		kept = large(waves(0.4503599, b.Prefix, n.KVHeads*2*e), held, 0, 1e4)
		kept = ConvertDType(kept, n.products)
		qkv = large(qkv, step.New-1, (n.Heads+n.KVHeads)*e, float64(held)/8)
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
		qkv, angles, w, kept := n.checkInputs(seen.spans.Graph(), checkStep(b))
		byKernels, _ := n.attendByKernels(qkv, angles, w, seen, kept)
		plain := n
		plain.marked = false
		byFormula, _ := plain.attendByKernels(qkv, angles, w, seen, kept)
		return []*Node{ReduceAllMax(Abs(Sub(float32s(byKernels), float32s(byFormula))))}
	}
}

// checkStep has a prefix, the end of it new, and rows of many lengths.
func checkStep(b score.Bucket) *score.Step {
	step := &score.Step{Bucket: b}
	left, shared := b.Tokens, 0
	if b.Prefix > 0 {
		shared = b.Prefix - b.Prefix/8
		step.New = min(shared/2, b.Tokens/4)
		step.Kept = shared - step.New
		step.Prefix = &score.Prefix{Tokens: make([]int32, shared), Size: b.Prefix}
		left -= step.New
	}
	for length := 1; length < left && len(step.Rows) < b.Rows; length = 3*length + 2 {
		length = min(length, b.Length)
		step.Rows = append(step.Rows, &score.Row{Tokens: make([]int32, shared+length), Shared: shared})
		left -= length
	}
	return step
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
	step := checkStep(b)
	if err := fits(step); err != nil {
		return 0, err
	}
	inputs := e.net.reachTensors(e.net.pack(step), b)
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
