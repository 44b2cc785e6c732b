package mosaic_test

import (
	"slices"
	"testing"

	"scored/model/kernel"
	"scored/model/kernel/kerneltest"
	"scored/model/mosaic"
	"scored/model/mosaic/mosaictest"
)

// TestAttention: the text that a TPU gets computes attention.
func TestAttention(t *testing.T) {
	shapes := map[string]kernel.Shape{
		"two heads a group":     {Tokens: 512, Context: 256, Heads: 4, KVHeads: 2, HeadDim: 128, Norm: true, Eps: 1e-6},
		"no context, no norm":   {Tokens: 512, Heads: 2, KVHeads: 2, HeadDim: 128},
		"six heads, small step": {Tokens: 128, Context: 1024, Heads: 6, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6},
		"blocks of 128":         {Tokens: 384, Context: 128, Heads: 2, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6},
	}
	small := kernel.Shape{Tokens: 384, Context: 384, Heads: 2, KVHeads: 1, HeadDim: 128, Norm: true, Eps: 1e-6}
	kerneltest.TestAttention(t, shapes, small, func(s kernel.Shape) kerneltest.Kernels {
		return mosaictest.Kernels{Shape: mosaic.Shape{Shape: s}}
	})
}

func TestShapesWithoutKernels(t *testing.T) {
	for want, shape := range map[string]kernel.Shape{
		"heads have 64 numbers, kernels are for 128":                                  {Tokens: 128, Heads: 2, KVHeads: 1, HeadDim: 64},
		"step shape has 64 tokens and 0 context keys, kernels take multiples of 128":  {Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128},
		"step shape has 128 tokens and 8 context keys, kernels take multiples of 128": {Tokens: 128, Context: 8, Heads: 2, KVHeads: 1, HeadDim: 128},
		"5 query heads do not share 2 key-value heads evenly":                         {Tokens: 128, Heads: 5, KVHeads: 2, HeadDim: 128},
		"step shape of 256 tokens and 131072 context keys does not fit fast memory":   {Tokens: 256, Context: 131072, Heads: 2, KVHeads: 1, HeadDim: 128},
	} {
		if err := (mosaic.Shape{Shape: shape}).Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", shape, err, want)
		}
	}
}

// TestSpans: a block of tokens goes over the blocks of context keys from the first to the
// last that any of its tokens attends to. It goes over the step's own keys from the
// block with the first one that any of its tokens attends to.
func TestSpans(t *testing.T) {
	s := mosaic.Shape{Shape: kernel.Shape{Tokens: 512, Context: 2048, Heads: 2, KVHeads: 1, HeadDim: 128}} // blocks of 256 tokens and of 512 keys
	from, to, start := make([]int32, 512), make([]int32, 512), make([]int32, 512)
	for i := range start {
		from[i], to[i], start[i] = 1000, 1000, int32(i)
	}
	check := func(want ...int32) {
		t.Helper()
		if got := s.Blocks().Spans(from, to, start); !slices.Equal(got, want) {
			t.Errorf("spans are %v, want %v", got, want)
		}
	}
	check(0, 0, 0, 0, 0, 1)
	from[3], to[3], from[200], to[200], from[300], to[300] = 511, 512, 1024, 1536, 512, 513
	start[300] = 255
	check(0, 1, 3, 2, 0, 0)
	from[3], start[300], to[300] = 512, 256, 512
	check(2, 0, 3, 0, 0, 1)
}
