package model

import (
	"math"
	"testing"

	"scored/score"
)

// TestWideCost: on an accelerator small steps cost what reading the weights does, and large ones what they compute.
func TestWideCost(t *testing.T) {
	cfg := Qwen3_0_6B()
	wide := func(tokens int) float64 { return cfg.WideCost(score.Bucket{Tokens: tokens}) }
	if wide(1) != wide(64) || wide(64) != wide(499) {
		t.Errorf("steps of 1, 64 and 499 tokens cost %v, %v and %v, want the same", wide(1), wide(64), wide(499))
	}
	linear, _ := cfg.Flops(score.Bucket{Tokens: 1024})
	if got, want := wide(2048)-wide(1024), linear/1e9; math.Abs(got-want) > 1e-6 {
		t.Errorf("1,024 tokens more cost %v, want %v", got, want)
	}
	// 440.4 million weights in the blocks, and a thousand operations for each, on top of the fixed 200.
	if got := wide(1); got < 640 || got > 641 {
		t.Errorf("the smallest step costs %v GFLOP", got)
	}
	short, long := score.Bucket{Tokens: 64, Rows: 2, Length: 32}, score.Bucket{Tokens: 64, Rows: 2, Length: 32, Prefix: 2048}
	if cfg.WideCost(short) >= cfg.WideCost(long) {
		t.Error("attention to a prefix costs nothing")
	}
}

// TestOwnPairs: a row's queries take the keys up to the end of their block.
func TestOwnPairs(t *testing.T) {
	for _, c := range []struct{ length, block, pairs int }{
		{0, 0, 0},
		{32, 32, 32 * 32},
		{192, 192, 192 * 192}, // half of it would be short
		{255, 255, 255 * 255}, // no half
		{256, 128, 128*128 + 128*256},
		{320, 160, 160*160 + 160*320},
		{1024, 256, 256 * (256 + 512 + 768 + 1024)},
		{4096, 1024, 1024 * (1024 + 2048 + 3072 + 4096)},
	} {
		if got := queryBlock(c.length); got != c.block {
			t.Errorf("rows of %d tokens: blocks of %d queries, want %d", c.length, got, c.block)
		}
		if got := ownPairs(c.length); got != c.pairs {
			t.Errorf("rows of %d tokens: %d pairs, want %d", c.length, got, c.pairs)
		}
	}
}

// TestKernelBuckets: kernels take all of them, whatever the context, and they hold its longest prompt. What costs more is more
// work.
func TestKernelBuckets(t *testing.T) {
	cfg := Qwen3_0_6B()
	for _, context := range []int{32, 128, 500, 2048, 2049, 8192, 9000, 32_768, 40_960} {
		buckets, longest := cfg.KernelBuckets(context), 0
		for _, kernels := range []Kernels{TPUKernels(), GPUKernels("NVIDIA H100 80GB HBM3"), GPUKernels("NVIDIA L4")} {
			if err := cfg.KernelsFit(kernels, buckets); err != nil {
				t.Errorf("context of %d tokens, %v: %v", context, kernels, err)
			}
		}
		for _, b := range buckets {
			longest = max(longest, b.Prefix)
		}
		if longest < context || longest > 4*max(context, 128) {
			t.Errorf("context of %d tokens: the longest prefix is %d", context, longest)
		}
	}
	for name, costOf := range map[string]func(score.Bucket) float64{"tpu": cfg.KernelCost, "gpu": cfg.GPUKernelCost} {
		cost := func(tokens, prefix int) float64 { return costOf(score.Bucket{Tokens: tokens, Prefix: prefix}) }
		if !(cost(2048, 2048) > cost(2048, 128) && cost(2048, 128) > cost(1024, 128) && cost(256, 128) < cost(256, 2048)) {
			t.Errorf("%s: more tokens, or more keys, do not cost more", name)
		}
	}
}

// TestBucketsCoverTheirWorkloads: the steps that the default shapes are meant for fit one of them.
func TestBucketsCoverTheirWorkloads(t *testing.T) {
	cfg := Qwen3_0_6B()
	kinds := map[string][]score.Bucket{"cpu": cfg.Buckets(40_960), "wide": cfg.WideBuckets(40_960), "kernels": cfg.KernelBuckets(40_960)}
	for _, c := range []struct {
		kind                         string
		tokens, rows, length, prefix int
	}{
		{"cpu", 60, 1, 60, 0},
		{"cpu", 300, 1, 300, 0},
		{"cpu", 480, 2, 180, 120}, // W2's query and its first items
		{"cpu", 384, 2, 180, 120},
		{"wide", 300, 1, 300, 0},
		{"wide", 1800, 6, 300, 0},    // six prompts of W1
		{"wide", 1920, 10, 180, 120}, // W2
		{"wide", 1920, 96, 20, 2000}, // W3
		{"kernels", 300, 1, 300, 0},
		{"kernels", 1800, 6, 300, 0},
		{"kernels", 1920, 10, 180, 120},
		{"kernels", 2040, 102, 20, 2000},
		{"kernels", 2048, 3, 1500, 40_000},
	} {
		fits := false
		for _, b := range kinds[c.kind] {
			fits = fits || c.tokens <= b.Tokens && c.rows <= b.Rows && c.length <= b.Length && c.prefix <= b.Prefix && b.Cost > 0
		}
		if !fits {
			t.Errorf("no %s bucket holds %+v", c.kind, c)
		}
	}
	for kind, buckets := range kinds {
		seen := map[shape]bool{}
		for _, b := range buckets {
			if seen[shapeOf(b)] {
				t.Errorf("%s bucket %+v is there twice", kind, b)
			}
			seen[shapeOf(b)] = true
		}
		t.Logf("%s: %d buckets", kind, len(buckets))
	}
}
