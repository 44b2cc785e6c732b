package model

import (
	"errors"
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/pkg/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"scored/score"
)

// ErrKernels tells that a device does not take kernels, or that they do not compute their formula there.
var ErrKernels = errors.New("kernels of attention do not work on this device; use attention without kernels")

// mostOff is how far a kernel's numbers may be from its formula's, of values up to 2 in bfloat16. A wrong mask or a wrong
// order of anything is off by 0.5 or more.
const mostOff = 0.12

const checkName = "check_kernels"

// checkBucket is the shape in which kernels are checked: the smallest, with a prefix if any has one.
func checkBucket(buckets []score.Bucket) score.Bucket {
	return slices.MinFunc(buckets, func(a, b score.Bucket) int {
		if (a.Prefix > 0) != (b.Prefix > 0) {
			return b.Prefix - a.Prefix
		}
		return a.Tokens*(a.Tokens+a.Prefix) - b.Tokens*(b.Tokens+b.Prefix)
	})
}

// checkInputs are what a block's attention gets, made up: numbers between -2 and 2 that have nothing to do with those beside
// them.
func (n network) checkInputs(g *Graph, b score.Bucket) (qkv, angles *Node, w blockWeights, kept *Node) {
	waves := func(step float64, dims ...int) *Node {
		size := 1
		for _, d := range dims {
			size *= d
		}
		return Reshape(MulScalar(Sin(MulScalar(float32s(iota(g, 0, size)), step)), 2), dims...)
	}
	qkv = ConvertDType(waves(0.7548777, b.Tokens, (n.Heads+2*n.KVHeads)*n.HeadDim), n.products)
	angles = MulScalar(waves(0.5698403, b.Tokens, 2*n.HeadDim), 0.5)
	if n.QKNorm {
		w.queryNorm, w.keyNorm = waves(1.3247180, n.HeadDim), waves(1.2207441, n.HeadDim)
	}
	if b.Prefix > 0 {
		kept = ConvertDType(waves(0.4503599, b.Prefix, n.KVHeads*2*n.HeadDim), n.products)
	}
	return qkv, angles, w, kept
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

// checkStep has a prefix of which half is new, and rows of many lengths.
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

// checkKernels runs checkGraph's program.
func (e *Engine) checkKernels() (err error) {
	b := checkBucket(e.buckets)
	step := checkStep(b)
	if err := fits(step); err != nil {
		return err
	}
	inputs := e.net.reachTensors(e.net.pack(step), b)
	defer func() { err = errors.Join(err, finalize(inputs...)) }()
	outputs, err := e.programs.check[checkName].run(inputs...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKernels, err)
	}
	off := tensors.ToScalar[float32](outputs[0])
	if err := finalize(outputs...); err != nil {
		return err
	}
	if !(off <= mostOff) { // NaN is wrong, too
		return fmt.Errorf("%w: numbers are off by up to %v, %v is allowed", ErrKernels, off, mostOff)
	}
	return nil
}
