package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/model/mosaic/mosaictest"
	"scored/model/triton/tritontest"
	"scored/score"
)

// TestKernelsComputeTheirFormula: the kernels' text, run as a TPU or GPU would, gives what the graph says that they compute, with the
// operands that the graph gives them, well within what a device is allowed; and a sight that is off by one is found, be it
// in a step of one block or of several.
func TestKernelsComputeTheirFormula(t *testing.T) {
	plain := kernelConfig()
	plain.QKNorm = false
	wide := score.Bucket{Tokens: 512, Rows: 16, Length: 512, Prefix: 1024, Cost: 3}
	alone := score.Bucket{Tokens: 512, Rows: 16, Length: 512, Cost: 3}
	short := kernelConfig()
	short.HeadDim = 64
	gpu := GPUKernels(227 << 10)
	for name, c := range map[string]struct {
		by     Kernels
		cfg    Config
		bucket score.Bucket
	}{
		"on a prefix": {TPUKernels(), kernelConfig(), kernelBuckets()[1]}, "blocks on a prefix": {TPUKernels(), kernelConfig(), wide},
		"alone": {TPUKernels(), kernelConfig(), kernelBuckets()[0]}, "blocks alone": {TPUKernels(), kernelConfig(), alone},
		"no norm":               {TPUKernels(), plain, kernelBuckets()[1]},
		"on a GPU, on a prefix": {gpu, kernelConfig(), kernelBuckets()[1]}, "on a GPU, alone": {gpu, kernelConfig(), kernelBuckets()[0]},
		"on a GPU, no norm": {gpu, plain, kernelBuckets()[1]}, "on a GPU, short heads": {gpu, short, kernelBuckets()[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := newNetwork(c.cfg, Options{DType: dtypes.BFloat16, Kernels: c.by, Formula: true, Buckets: []score.Bucket{c.bucket}})
			if err != nil {
				t.Fatal(err)
			}
			want, operands := attendByFormula(t, n, c.bucket)
			off := func() (most float64) {
				got, err := operands.attend(n, c.bucket)
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range want.data {
					most = max(most, math.Abs(got[i]-x))
				}
				return most
			}
			right := off()
			t.Logf("off by up to %.4f", right)
			if !(right <= 0.6*mostOff) {
				t.Errorf("kernels are off by up to %v, want 0.6 of %v at most", right, mostOff)
			}
			tokens := c.bucket.Tokens
			for what, part := range map[string][]float64{"prefix keys": operands.sight.data[:tokens], "first own token": operands.sight.data[tokens:]} {
				if what == "prefix keys" && c.bucket.Prefix == 0 || what == "first own token" && c.bucket.Prefix > 0 {
					continue // beside a long prefix, one own token more is too little
				}
				for _, by := range []float64{-1, 1} {
					shift(part, by)
					if wrong := off(); wrong <= mostOff {
						t.Errorf("%s off by %v: numbers are off by no more than %v", what, by, wrong)
					}
					shift(part, -by)
				}
			}
		})
	}
}

func shift(all []float64, by float64) {
	for i := range all {
		all[i] += by
	}
}

// plainArray is an operand of kernels.
type plainArray struct {
	element string
	dims    []int
	data    []float64
}

type kernelOperands struct{ spans, sight, qkv, angles, keyWeight, queryWeight, prefix *plainArray }

// attend runs the text of both kernels: the mixed values [T, H·E].
func (o kernelOperands) attend(n network, b score.Bucket) ([]float64, error) {
	if n.by.kind == tritonKernels {
		of := func(a *plainArray) *tritontest.Array {
			if a == nil {
				return nil
			}
			return &tritontest.Array{Element: a.element, Dims: a.dims, Data: a.data}
		}
		out, err := tritontest.Attend(n.tritonShape(n.by, b.Tokens, b.Prefix), tritontest.Operands{QKV: of(o.qkv), KeyWeight: of(o.keyWeight),
			QueryWeight: of(o.queryWeight), Angles: of(o.angles), Spans: of(o.spans), Sight: of(o.sight), Prefix: of(o.prefix)})
		if err != nil {
			return nil, err
		}
		return out.Data, nil
	}
	of := func(a *plainArray) *mosaictest.Array {
		if a == nil {
			return nil
		}
		return &mosaictest.Array{Element: a.element, Dims: a.dims, Data: a.data}
	}
	out, err := mosaictest.Attend(n.mosaicShape(b.Tokens, b.Prefix), mosaictest.Operands{QKV: of(o.qkv), KeyWeight: of(o.keyWeight),
		QueryWeight: of(o.queryWeight), Angles: of(o.angles), Spans: of(o.spans), Sight: of(o.sight), Prefix: of(o.prefix)})
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}

// attendByFormula runs the graph, and gives its result and what kernels would have got.
func attendByFormula(t *testing.T, n network, b score.Bucket) (mixed *plainArray, in kernelOperands) {
	t.Helper()
	formula, err := compile(device{Backend: pureGo(t)}, "formula", func(in *parameters) []*Node {
		seen := n.reachParameters(in, shapeOf(b))
		qkv, angles, w, kept := n.checkInputs(seen.spans.Graph(), checkStep(b))
		mixed, prefix := n.attendByKernels(qkv, angles, w, seen, kept)
		out := []*Node{mixed, qkv, angles, n.keyWeight(w, qkv.Graph()), n.queryWeight(w, qkv.Graph())}
		if prefix != nil {
			out = append(out, prefix)
		}
		for i := range out {
			out[i] = float32s(out[i])
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(formula.close)
	inputs := n.reachTensors(n.pack(checkStep(b)), b)
	in.spans, in.sight = textArray[int32](inputs[0], "i32"), textArray[int32](inputs[1], "i32")
	outputs, err := formula.run(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	to := []**plainArray{&mixed, &in.qkv, &in.angles, &in.keyWeight, &in.queryWeight, &in.prefix}
	elements := []string{"bf16", "bf16", "f32", "f32", "f32", "bf16"}
	for i, x := range outputs {
		*to[i] = textArray[float32](x, elements[i])
	}
	return mixed, in
}

func textArray[T int32 | float32](x *tensors.Tensor, element string) *plainArray {
	a := &plainArray{element: element, dims: x.Shape().Dimensions}
	for _, v := range tensors.MustCopyFlatData[T](x) {
		a.data = append(a.data, float64(v))
	}
	return a
}
