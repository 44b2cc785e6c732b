package model

import (
	"testing"

	"scored/score"
	"scored/target"
)

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

// TestFusedBuckets: kernels take all of them, whatever the context, and they hold its longest prompt.
func TestFusedBuckets(t *testing.T) {
	cfg := Qwen3_0_6B()
	v6e, _ := target.Named("v6e")
	for _, context := range []int{32, 128, 500, 2048, 2049, 8192, 9000, 32_768, 40_960} {
		buckets, longest := cfg.Buckets(v6e, target.Fused, context), 0
		for _, kernels := range []Kernels{TPUKernels(), GPUKernels(227 << 10), GPUKernels(99 << 10)} {
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
}

// TestWork: counts of Qwen3-0.6B's layers, from its shape.
func TestWork(t *testing.T) {
	cfg := Qwen3_0_6B()
	w := cfg.Work(score.Bucket{Tokens: 256, Rows: 2, Length: 128, Prefix: 512}, target.Native, target.BFloat16)
	want := target.Work{Tokens: 256, TokenFlops: 880_803_840, WeightBytes: 880_803_840, PairFlops: 229_376, RowPairs: 2 * 128 * 128, PrefixPairs: 256 * 512}
	if w != want {
		t.Errorf("work %+v, want %+v", w, want)
	}
	fused := cfg.Work(score.Bucket{Tokens: 256, Rows: 64, Length: 256, Prefix: 512}, target.Fused, target.Float32)
	if fused.PackedTokens != 256 || fused.RowPairs != 0 || fused.WeightBytes != 2*880_803_840 {
		t.Errorf("for kernels: %+v", fused)
	}
}

// TestBucketsCoverTheirWorkloads: the steps that the default shapes are meant for fit one of them.
func TestBucketsCoverTheirWorkloads(t *testing.T) {
	cfg := Qwen3_0_6B()
	row := func(name string) target.Target {
		found, _ := target.Named(name)
		return found
	}
	kinds := map[string][]score.Bucket{"cpu": cfg.Buckets(row("cpu-avx2"), target.Native, 40_960), "wide": cfg.Buckets(row("h100"), target.Native, 40_960),
		"kernels": cfg.Buckets(row("v6e"), target.Fused, 40_960)}
	for _, c := range []struct {
		kind                         string
		tokens, rows, length, prefix int
	}{
		{"cpu", 8, 1, 8, 0},
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
