package model

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"scored/model/mosaic"
	"scored/model/mosaic/mosaictest"
	"scored/score"
)

// TestKernelsComputeTheirFormula: the kernels' text, run as a TPU would, gives what the graph says that they compute, with the
// operands that the graph gives them, and well within what a device is allowed.
func TestKernelsComputeTheirFormula(t *testing.T) {
	plain := kernelConfig()
	plain.QKNorm = false
	for name, c := range map[string]struct {
		cfg    Config
		bucket score.Bucket
	}{
		"on a prefix": {kernelConfig(), kernelBuckets()[1]},
		"alone":       {kernelConfig(), kernelBuckets()[0]},
		"no norm":     {plain, kernelBuckets()[1]},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := newNetwork(c.cfg, Options{DType: dtypes.BFloat16, Kernels: true, Buckets: kernelBuckets()})
			if err != nil {
				t.Fatal(err)
			}
			want, operands := attendByFormula(t, n, c.bucket)
			got := attendByText(t, n.kernelShape(c.bucket.Tokens, c.bucket.Prefix), operands)
			off := 0.0
			for i, x := range want.Data {
				off = max(off, math.Abs(got.Data[i]-x))
			}
			t.Logf("off by up to %.4f", off)
			if !(off <= mostOff/2) {
				t.Errorf("kernels are off by up to %v, want half of %v at most", off, mostOff)
			}
		})
	}
}

// kernelOperands are what kernels get.
type kernelOperands struct {
	spans, sight                     *mosaictest.Array
	qkv, angles, keys, queries, kept *mosaictest.Array // keys and queries are weights
}

// attendByFormula runs the graph, and gives its result and what kernels would have got.
func attendByFormula(t *testing.T, n network, b score.Bucket) (mixed *mosaictest.Array, in kernelOperands) {
	t.Helper()
	formula, err := compile(device{Backend: pureGo(t)}, "formula", func(in *parameters) []*Node {
		seen := n.reachParameters(in, shapeOf(b))
		qkv, angles, w, kept := n.checkInputs(seen.spans.Graph(), b)
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
	in.spans, in.sight = textArray[int32](inputs[0]), textArray[int32](inputs[1])
	outputs, err := formula.run(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	to := []**mosaictest.Array{&mixed, &in.qkv, &in.angles, &in.keys, &in.queries, &in.kept}
	for i, x := range outputs {
		*to[i] = textArray[float32](x)
	}
	return mixed, in
}

func attendByText(t *testing.T, shape mosaic.Shape, in kernelOperands) *mosaictest.Array {
	t.Helper()
	keys := mosaictest.New("bf16", shape.Tokens, shape.KVHeads*2*shape.HeadDim)
	if err := mosaictest.Run(mosaic.Keys(shape).Body, in.qkv, in.qkv, in.keys, in.angles, keys); err != nil {
		t.Fatal(err)
	}
	mixed := mosaictest.New("bf16", shape.Tokens, shape.Heads*shape.HeadDim)
	arrays := []*mosaictest.Array{in.spans, in.qkv, keys}
	if shape.Prefix > 0 {
		arrays = append(arrays, in.kept)
	}
	if err := mosaictest.Run(mosaic.Attend(shape).Body, append(arrays, in.sight, in.queries, in.angles, mixed)...); err != nil {
		t.Fatal(err)
	}
	return mixed
}

func textArray[T int32 | float32](x *tensors.Tensor) *mosaictest.Array {
	a := mosaictest.New(map[dtypes.DType]string{dtypes.Int32: "i32", dtypes.Float32: "f32"}[x.DType()], x.Shape().Dimensions...)
	for i, v := range tensors.MustCopyFlatData[T](x) {
		a.Data[i] = float64(v)
	}
	return a
}
