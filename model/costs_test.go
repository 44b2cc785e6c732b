package model

import (
	"testing"

	"scored/model/checkpoint"
	"scored/score/plan"
	"scored/target"
)

// TestBands: a block's keys include all that its tokens attend to, and the band is the
// one of the table, with the fewest pairs.
func TestBands(t *testing.T) {
	for _, c := range []struct {
		tokens, length int
		want           band
		pairs          int
	}{
		{32, 32, band{32, false}, 32 * 32},
		{192, 192, band{192, false}, 192 * 192}, // half of it would be short
		{320, 320, band{160, false}, 160*160 + 160*320},
		{1024, 1024, band{256, false}, 256 * (256 + 512 + 768 + 1024)},
		{4096, 4096, band{1024, false}, 1024 * (1024 + 2048 + 3072 + 4096)},
		{64, 8, band{8, true}, 64 * 16},
		{512, 32, band{32, true}, 512 * 64},
		{64, 32, band{64, false}, 64 * 64},
		{256, 128, band{128, false}, 128*128 + 128*256},
		{384, 256, band{128, false}, 128 * (128 + 256 + 384)},
		{512, 256, band{128, false}, 128 * (128 + 256 + 384 + 384)},
		{2048, 128, band{128, true}, 2048 * 256},
		{100, 30, band{100, false}, 100 * 100},
		{96, 1, band{1, true}, 96 * 2},
	} {
		got := bandOf(c.tokens, c.length)
		if got != c.want || got.pairs(c.tokens, c.length) != c.pairs {
			t.Errorf("%d tokens in rows of %d: %+v of %d pairs, want %+v of %d", c.tokens, c.length, got, got.pairs(c.tokens, c.length), c.want, c.pairs)
		}
		if got.batched && got.block < c.length {
			t.Errorf("%d tokens in rows of %d: blocks of %d do not reach a row's first token", c.tokens, c.length, got.block)
		}
		for from := 0; !got.batched && from < c.tokens; from += got.block {
			if first, end := got.keys(from, c.tokens, c.length); first > max(0, from-c.length+1) || end < min(from+got.block, c.tokens) {
				t.Errorf("%d tokens in rows of %d: the block from %d on has keys %d … %d", c.tokens, c.length, from, first, end-1)
			}
		}
	}
}

// priced returns a target's step shapes with its own price.
func priced(cfg checkpoint.Config, t target.Target, attention target.Attention, contextLength int) []plan.Bucket {
	buckets := t.Ladders[attention](contextLength)
	Costs{cfg, attention, t.Weights}.Predict(buckets, t, t.Price(attention, t.Weights))
	return buckets
}

// TestFusedBuckets: kernels take every bucket, whatever the context length, and one of
// them holds the longest prompt.
func TestFusedBuckets(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	v6e, _ := target.Named("v6e")
	for _, context := range []int{32, 128, 500, 2048, 2049, 8192, 9000, 32_768, 40_960} {
		buckets, longest := priced(cfg, v6e, target.Fused, context), 0
		for _, kernels := range []Kernels{TPUKernels(), GPUKernels(227 << 10), GPUKernels(99 << 10)} {
			if err := kernels.Of(cfg).Fit(buckets); err != nil {
				t.Errorf("context of %d tokens, %v: %v", context, kernels, err)
			}
		}
		for _, b := range buckets {
			longest = max(longest, b.Context)
		}
		if longest < context || longest > 4*max(context, 128) {
			t.Errorf("context of %d tokens: the longest context is %d", context, longest)
		}
	}
}

// TestWork: the counts are those of Qwen3-0.6B's layers, by hand from its shape.
func TestWork(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	w := Costs{cfg, target.Native, target.BFloat16}.Work(plan.Bucket{Tokens: 256, Rows: 2, Length: 128, Context: 512}, 512)
	want := target.Work{Tokens: 256, TokenFlops: 880_803_840, WeightBytes: 880_803_840, PairFlops: 229_376, RowPairs: 128*128 + 128*256, PrefixPairs: 256 * 512}
	if w != want {
		t.Errorf("work %+v, want %+v", w, want)
	}
	fused := Costs{cfg, target.Fused, target.Float32}.Work(plan.Bucket{Tokens: 256, Rows: 64, Length: 256, Context: 512}, 512)
	if fused.PackedTokens != 256 || fused.RowPairs != 0 || fused.WeightBytes != 2*880_803_840 {
		t.Errorf("for kernels: %+v", fused)
	}
}

// TestBucketsCoverTheirWorkloads: each step that the default shapes are meant for fits
// one of them.
func TestBucketsCoverTheirWorkloads(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	buckets := func(name string, attention target.Attention) []plan.Bucket {
		row, _ := target.Named(name)
		return priced(cfg, row, attention, 40_960)
	}
	kinds := map[string][]plan.Bucket{"cpu": buckets("cpu-avx2", target.Native), "wide": buckets("h100", target.Native),
		"kernels": buckets("v6e", target.Fused)}
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
			fits = fits || c.tokens <= b.Tokens && c.rows <= b.Rows && c.length <= b.Length && c.prefix <= b.Context && b.Cost > 0
		}
		if !fits {
			t.Errorf("no %s bucket holds %+v", c.kind, c)
		}
	}
	for kind, buckets := range kinds {
		seen := map[shape]bool{}
		for _, b := range buckets {
			if seen[shapeOf(b)] && kind != "kernels" {
				t.Errorf("%s bucket %+v is there twice", kind, b)
			}
			seen[shapeOf(b)] = true
		}
		t.Logf("%s: %d buckets", kind, len(buckets))
	}
}

// TestGroup: a group divides the layers, and is no larger than wanted.
func TestGroup(t *testing.T) {
	for _, c := range []struct{ layers, wanted, group int }{
		{28, 4, 4}, {28, 0, 1}, {28, 1, 1}, {28, 5, 4}, {28, 100, 28}, {36, 4, 4}, {30, 4, 3}, {2, 4, 2}, {7, 4, 1}, {1, 4, 1},
	} {
		if got := RunsOf(c.layers, c.wanted).Group; got != c.group {
			t.Errorf("of %d layers, %d wanted: %d in a program, want %d", c.layers, c.wanted, got, c.group)
		}
	}
}
