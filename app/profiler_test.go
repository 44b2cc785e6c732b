package app

import (
	"testing"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/score"
)

// A step runs its block once per layer; what other buckets run, and the copies of
// another device, do not count.
func TestStepCost(t *testing.T) {
	program := func(name string, flops, bytes float64) pjrt.Program {
		return pjrt.Program{Name: name, Cost: pjrt.Cost{Flops: flops, BytesAccessed: bytes}}
	}
	programs := []pjrt.Program{
		program("embed_t64", 1, 10), program("layer_t64_l32_c16", 100, 1000), program("layer_t64_l32_c16", 100, 1000),
		program("layer_t64_l32_c0", 7, 7), program("embed_t128", 7, 7), program("last_t64", 7, 7),
	}
	cfg := checkpoint.Config{Layers: 28, HiddenSize: 8, Heads: 2, KVHeads: 1, HeadDim: 4, IntermediateSize: 16}
	cost := stepCost(func() []pjrt.Program { return programs }, cfg, model.RunsOf(cfg.Layers, 1))
	if flops, bytes := cost(score.Bucket{Tokens: 64, Rows: 4, Length: 32, Context: 16}); flops != 2801 || bytes != 28010 {
		t.Errorf("cost %v flops and %v bytes, want 2801 and 28010", flops, bytes)
	}
	// The plugin knows nothing of this one. A layer has 8*(8+4+4+8) + 3*8*16 weights, and
	// 4*8 operations for each pair.
	if flops, bytes := cost(score.Bucket{Tokens: 6, Rows: 2, Length: 5, Context: 7}); flops != 28*(2*6*576+32*(6*6+6*7)) || bytes != 0 {
		t.Errorf("a bucket without programs costs %v flops and %v bytes", flops, bytes)
	}
}
