package model

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/model/checkpoint"
	"scored/model/kernel/kerneltest"
	"scored/model/mosaic/mosaictest"
	"scored/model/triton/tritontest"
	"scored/score/plan"
)

// TestKernelsComputeTheirFormula: the kernels' text, run as a TPU or GPU would, computes
// the formula of the graph from the graph's operands, well within what a device is
// allowed. A range that is off by one is found, in a step of one block and of several.
func TestKernelsComputeTheirFormula(t *testing.T) {
	plain := kernelConfig()
	plain.QKNorm = false
	wide := plan.Bucket{Tokens: 512, Rows: 16, Length: 512, Context: 1024, Cost: 3}
	alone := plan.Bucket{Tokens: 512, Rows: 16, Length: 512, Cost: 3}
	short := kernelConfig()
	short.HeadDim = 64
	gpu := GPUKernels(227 << 10)
	for name, c := range map[string]struct {
		by     Kernels
		cfg    checkpoint.Config
		bucket plan.Bucket
	}{
		"on a prefix": {TPUKernels(), kernelConfig(), kernelBuckets()[1]}, "blocks on a prefix": {TPUKernels(), kernelConfig(), wide},
		"alone": {TPUKernels(), kernelConfig(), kernelBuckets()[0]}, "blocks alone": {TPUKernels(), kernelConfig(), alone},
		"no norm":               {TPUKernels(), plain, kernelBuckets()[1]},
		"on a GPU, on a prefix": {gpu, kernelConfig(), kernelBuckets()[1]}, "on a GPU, alone": {gpu, kernelConfig(), kernelBuckets()[0]},
		"on a GPU, no norm": {gpu, plain, kernelBuckets()[1]}, "on a GPU, short heads": {gpu, short, kernelBuckets()[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := newNetwork(pureGo(t), c.cfg, Options{DType: dtypes.BFloat16, Kernels: c.by, Formula: true, Buckets: []plan.Bucket{c.bucket}})
			if err != nil {
				t.Fatal(err)
			}
			p := n.attention.(packed)
			want, operands := attendByFormula(t, p, c.bucket)
			off := func() (most float64) {
				got, err := p.runner(c.bucket).Attend(operands)
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range want.Data {
					most = max(most, math.Abs(got.Data[i]-x))
				}
				return most
			}
			least := off()
			t.Logf("off by up to %.4f", least)
			if !(least <= 0.6*mostOff) {
				t.Errorf("kernels are off by up to %v, want 0.6 of %v at most", least, mostOff)
			}
			right := operands.Ranges
			for end, what := range []string{"from", "to", "start"} {
				if onContext := c.bucket.Context > 0; onContext != (what != "start") {
					continue // beside a context, one own token more is too little
				}
				for _, by := range []float64{-1, 1} {
					operands.Ranges = shifted(right, end, by)
					if wrong := off(); !(wrong > mostOff) {
						t.Errorf("%s off by %v: numbers are off by no more than %v", what, by, wrong)
					}
				}
			}
		})
	}
}

// shifted moves one end of tokens' ranges by one: 0 from, 1 to or 2 start. It leaves out
// tokens that attend to no key of the context, or would attend to none of the step.
func shifted(ranges *kerneltest.Array, end int, by float64) *kerneltest.Array {
	out := *ranges
	out.Data = slices.Clone(ranges.Data)
	tokens := ranges.Dims[1]
	for t := range tokens {
		from, to, start := ranges.Data[t], ranges.Data[tokens+t], ranges.Data[2*tokens+t]
		if end < 2 && from < to || end == 2 && start+by <= float64(t) {
			out.Data[end*tokens+t] += by
		}
	}
	return &out
}

// runner runs the text of kernels.
func (p packed) runner(b plan.Bucket) kerneltest.Kernels {
	if p.kernels.kind == tritonKernels {
		return tritontest.Kernels{Shape: p.kernels.triton(b.Tokens, b.Context)}
	}
	return mosaictest.Kernels{Shape: p.kernels.mosaic(b.Tokens, b.Context)}
}

// attendByFormula runs the formula. It returns the result, and the operands that kernels
// would get in its place.
func attendByFormula(t *testing.T, p packed, b plan.Bucket) (mixed *kerneltest.Array, in kerneltest.Operands) {
	t.Helper()
	formula, err := compile(device{Backend: pureGo(t)}, "formula", func(in *parameters) []*Node {
		v := viewParameters(in, p, shapeOf(b))
		qkv, angles, w, made := p.checkInputs(in.g, b)
		var keep func(*Node) contextKeys
		out := []*Node{nil, qkv, angles, p.keyWeight(w, in.g), p.queryWeight(w, in.g)}
		if made != nil {
			keep, out = func(*Node) contextKeys { return contextKeys{whole: made} }, append(out, made)
		}
		out[0] = p.attend(qkv, angles, w, v, keep)
		for i := range out {
			out[i] = float32s(out[i])
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(formula.close)
	inputs := p.checkTensors(b)
	in.Ranges, in.Spans = textArray[int32](inputs[0], "i32"), textArray[int32](inputs[1], "i32")
	outputs, err := formula.run(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	to := []**kerneltest.Array{&mixed, &in.QKV, &in.Angles, &in.KeyWeight, &in.QueryWeight, &in.Context}
	elements := []string{"bf16", "bf16", "f32", "f32", "f32", "bf16"}
	for i, x := range outputs {
		*to[i] = textArray[float32](x, elements[i])
	}
	return mixed, in
}

func textArray[T int32 | float32](x *tensors.Tensor, element string) *kerneltest.Array {
	a := &kerneltest.Array{Element: element, Dims: x.Shape().Dimensions}
	for _, v := range tensors.MustCopyFlatData[T](x) {
		a.Data = append(a.Data, float64(v))
	}
	return a
}
