package model

import (
	"testing"

	"github.com/gomlx/gomlx/pkg/core/dtypes"

	"scored/score"
)

// kernelConfig is a small model with heads that kernels take.
func kernelConfig() Config {
	c := smallConfig()
	c.HeadDim, c.Heads, c.KVHeads = 128, 4, 2
	return c
}

func kernelBuckets() []score.Bucket {
	return []score.Bucket{{Tokens: 128, Rows: 16, Length: 128, Cost: 1}, {Tokens: 256, Rows: 16, Length: 256, Prefix: 128, Cost: 2}}
}

// TestKernelsFormulaScoresAlike: an engine that attends as kernels do gives the scores of one that does not, with
// and without a prefix.
func TestKernelsFormulaScoresAlike(t *testing.T) {
	options := Options{DType: dtypes.Float32, Buckets: kernelBuckets(), PrefixCacheBytes: 1 << 24}
	plain := optionsEngine(t, pureGo(t), kernelConfig(), options)
	options.Kernels = true
	kernels := optionsEngine(t, pureGo(t), kernelConfig(), options)
	alone := &score.Step{Bucket: kernelBuckets()[0]}
	for i := range 3 {
		alone.Rows = append(alone.Rows, &score.Row{Tokens: testTokens(i, 5+9*i), Labels: []int32{3, 500, 77}})
	}
	for name, step := range map[string]*score.Step{"alone": alone, "on a prefix": sharedStep(kernelBuckets()[1], 0, 4)} {
		want, err := plain.Run(step)
		if err != nil {
			t.Fatal(err)
		}
		got, err := kernels.Run(step)
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, name, got, want, 1e-5)
	}
	// The prefix is kept now, and a step can go on from it.
	next := sharedStep(kernelBuckets()[1], 0, 4)
	want, err := kernels.Run(next)
	if err != nil {
		t.Fatal(err)
	}
	next.Base, next.Kept, next.New = next.Prefix, len(next.Prefix.Tokens), 0
	got, err := kernels.Run(next)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "on a kept prefix", got, want, 1e-5)
}
