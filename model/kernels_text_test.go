package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/model/mosaic/mosaictest"
	"scored/score"
)

// TestKernelsComputeTheirFormula: the kernels' text, run as a TPU would, gives what the graph says that they compute, with the
// operands that the graph gives them, well within what a device is allowed; and a sight that is off by one is found, be it
// in a step of one block or of several.
func TestKernelsComputeTheirFormula(t *testing.T) {
	plain := kernelConfig()
	plain.QKNorm = false
	wide := score.Bucket{Tokens: 512, Rows: 16, Length: 512, Prefix: 1024, Cost: 3}
	alone := score.Bucket{Tokens: 512, Rows: 16, Length: 512, Cost: 3}
	for name, c := range map[string]struct {
		cfg    Config
		bucket score.Bucket
	}{
		"on a prefix": {kernelConfig(), kernelBuckets()[1]}, "blocks on a prefix": {kernelConfig(), wide},
		"alone": {kernelConfig(), kernelBuckets()[0]}, "blocks alone": {kernelConfig(), alone},
		"no norm": {plain, kernelBuckets()[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := newNetwork(c.cfg, Options{DType: dtypes.BFloat16, Formula: true, Buckets: []score.Bucket{c.bucket}})
			if err != nil {
				t.Fatal(err)
			}
			want, operands := attendByFormula(t, n, c.bucket)
			off := func() (most float64) {
				got, err := mosaictest.Attend(n.kernelShape(c.bucket.Tokens, c.bucket.Prefix), operands)
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range want.Data {
					most = max(most, math.Abs(got.Data[i]-x))
				}
				return most
			}
			right := off()
			t.Logf("off by up to %.4f", right)
			if !(right <= 0.6*mostOff) {
				t.Errorf("kernels are off by up to %v, want 0.6 of %v at most", right, mostOff)
			}
			tokens := c.bucket.Tokens
			for what, part := range map[string][]float64{"prefix keys": operands.Sight.Data[:tokens], "first own token": operands.Sight.Data[tokens:]} {
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

// attendByFormula runs the graph, and gives its result and what kernels would have got.
func attendByFormula(t *testing.T, n network, b score.Bucket) (mixed *mosaictest.Array, in mosaictest.Operands) {
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
	in.Spans, in.Sight = textArray[int32](inputs[0]), textArray[int32](inputs[1])
	outputs, err := formula.run(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	to := []**mosaictest.Array{&mixed, &in.QKV, &in.Angles, &in.KeyWeight, &in.QueryWeight, &in.Prefix}
	for i, x := range outputs {
		*to[i] = textArray[float32](x)
	}
	return mixed, in
}

func textArray[T int32 | float32](x *tensors.Tensor) *mosaictest.Array {
	a := mosaictest.New(map[dtypes.DType]string{dtypes.Int32: "i32", dtypes.Float32: "f32"}[x.DType()], x.Shape().Dimensions...)
	for i, v := range tensors.MustCopyFlatData[T](x) {
		a.Data[i] = float64(v)
	}
	return a
}
