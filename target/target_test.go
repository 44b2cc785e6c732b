package target

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	for _, c := range []struct{ platform, kind, want string }{
		{"tpu", "TPU v6 lite", "v6e"}, {"tpu", "TPU v5 lite", "v5e"}, {"tpu", "TPU v5", "v5p"}, {"tpu", "TPU v4", "v4"},
		{"tpu", "TPU v9", "unknown tpu"}, {"tpu", "", "unknown tpu"},
		{"cuda", "NVIDIA H100 80GB HBM3", "h100"}, {"cuda", "NVIDIA H200", "h200"}, {"cuda", "NVIDIA A100-SXM4-80GB", "a100"},
		{"cuda", "NVIDIA L4", "l4"}, {"cuda", "NVIDIA L40S", "unknown cuda"}, {"cuda", "NVIDIA B200", "b200"},
	} {
		if got, ok := Find(c.platform, c.kind); !ok || got.Name != c.want || got.Platform != c.platform {
			t.Errorf("Find(%q, %q) is %q, want %q", c.platform, c.kind, got.Name, c.want)
		}
	}
	if got, ok := Find("cpu", "cpu"); !ok || got.Platform != "cpu" {
		t.Errorf("the processor is %q", got.Name)
	}
	if _, ok := Find("rocm", "MI300"); ok {
		t.Error("an unknown platform has a row")
	}
	if m, ok := Measured("TPU v6 lite"); !ok || m.Peak != 918e12 {
		t.Errorf("the roofline of a TPU v6 lite is %v", m.Peak)
	}
	if _, ok := Measured("cpu"); ok {
		t.Error("a processor has a roofline")
	}
}

// TestRows: every row has shapes and a price for each kind of attention, and the maker's
// figures.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, row := range append(table(), processors()...) {
		if names[row.Name] {
			t.Errorf("%s is there twice", row.Name)
		}
		names[row.Name] = true
		if (row.Peak > 0) != (row.Bandwidth > 0) || (row.Peak > 0) != (row.Memory > 0) || row.Weights == "" || row.Platform == "" {
			t.Errorf("%s lacks a figure: %+v", row.Name, row)
		}
		if row.Kernels != NoKernels && row.Ladders[Fused] == nil || row.Ladders[Native] == nil {
			t.Errorf("%s has no shapes for a way it attends", row.Name)
		}
		for attention := range row.Ladders {
			if !row.Price(attention, Float32).Valid() || !row.Price(attention, BFloat16).Valid() {
				t.Errorf("%s has no price for %s", row.Name, attention)
			}
		}
	}
	for _, name := range []string{"cpu-avx2", "v5e", "v5p", "v6e", "a100", "h100", "h200", "b200", "l4", "unknown cuda", "unknown tpu"} {
		if !names[name] {
			t.Errorf("there is no row %q", name)
		}
	}
}

// TestProcessor: instruction sets that XLA's flags forbid do not count for the row.
func TestProcessor(t *testing.T) {
	all := isa{avx512: true, bfloat16: true}
	for flags, want := range map[string]string{
		"": "cpu-bf16", "--xla_cpu_max_isa=AVX2": "cpu-avx2", "--other=1 --xla_cpu_max_isa=SSE4_2": "cpu-avx2",
		"--xla_cpu_max_isa=AVX512": "cpu-avx512", "--xla_cpu_max_isa=avx512_vnni": "cpu-avx512", "--xla_cpu_max_isa=AMX": "cpu-bf16",
	} {
		if got := nameOf(all.upTo(flags)); got != want {
			t.Errorf("with %q the row is %s, want %s", flags, got, want)
		}
	}
	bf16, _ := Named("cpu-bf16")
	avx2, _ := Named("cpu-avx2")
	if bf16.ProductsOf(BFloat16) != BFloat16 || bf16.ProductsOf(Float32) != Float32 || avx2.ProductsOf(BFloat16) != Float32 {
		t.Error("bfloat16 is multiplied elsewhere than where the processor does so")
	}
	if bf16.Price(Native, BFloat16).Flops <= bf16.Price(Native, Float32).Flops || avx2.Price(Native, BFloat16) != avx2.Price(Native, Float32) {
		t.Error("bfloat16 has its price elsewhere than where the processor multiplies it")
	}
}

// TestPrice: the formula, term by term.
func TestPrice(t *testing.T) {
	p := Price{Idle: 1, Flops: 10, Bytes: 5, Attention: 4, TokenKeys: 3, CachedTokens: 100, Uncached: 0.5}
	for name, c := range map[string]struct {
		work Work
		want time.Duration
	}{
		"nothing":          {Work{}, time.Second},
		"linear":           {Work{Tokens: 2, TokenFlops: 20, WeightBytes: 5}, 5 * time.Second},
		"weights":          {Work{Tokens: 2, TokenFlops: 20, WeightBytes: 50}, 11 * time.Second},
		"attention":        {Work{PairFlops: 2, RowPairs: 3, PrefixPairs: 5}, 5 * time.Second},
		"packed":           {Work{PairFlops: 2, PrefixPairs: 2, PackedTokens: 2}, 5 * time.Second},
		"beyond the cache": {Work{Tokens: 120, TokenFlops: 1}, 14 * time.Second},
	} {
		if got := p.Step(c.work); got != c.want {
			t.Errorf("%s takes %s, want %s", name, got, c.want)
		}
	}
}

// TestFit finds the coefficients that samples were made with, from others, though the
// samples are off by some percent.
func TestFit(t *testing.T) {
	truth := Price{Idle: 0.04, Flops: 370e9, Bytes: 15e9, Attention: 150e9, CachedTokens: 512, Uncached: 0.15}
	var samples []Sample
	for i, tokens := range []float64{16, 64, 256, 512, 1024} {
		for _, prefix := range []float64{0, 128, 2048} {
			w := Work{Tokens: tokens, TokenFlops: 880e6, WeightBytes: 1.76e9, PairFlops: 229376, RowPairs: tokens * 64, PrefixPairs: tokens * prefix}
			samples = append(samples, Sample{w, truth.seconds(w) * (1 + 0.01*float64(i%3-1))})
		}
	}
	from, _ := Named("cpu-avx2")
	got := Fit(from.Prices[Native], samples)
	for _, s := range samples {
		if off := got.Off(s); math.Abs(off) > 0.03 {
			t.Errorf("%+v is predicted %.1f %% off", s.Work, 100*off)
		}
	}
	if got := Fit(truth, nil); got != truth {
		t.Errorf("no samples change the price to %+v", got)
	}
}

// TestLadders: no shape is there twice, and one holds the longest prompt. Its context is
// no longer than the prompt, rounded up to whole registers, pages or, for kernels,
// blocks of keys.
func TestLadders(t *testing.T) {
	for name, c := range map[string]struct {
		ladder Ladder
		block  int
	}{"narrow": {narrow, 128}, "wide": {wide, 8}, "packed": {packed, 512}, "long": {long, 512}} {
		for _, context := range []int{8, 64, 600, 2048, 2049, 2304, 10_000, 40_960} {
			buckets := c.ladder(context)
			longest := 0
			for i, b := range buckets {
				if slices.Contains(buckets[:i], b) {
					t.Errorf("%s: %+v is there twice", name, b)
				}
				longest = max(longest, b.Context)
			}
			if longest < context || longest >= context+c.block {
				t.Errorf("%s: prefixes of at most %d tokens for a context of %d", name, longest, context)
			}
			if c.block%128 == 0 && longest%128 != 0 {
				t.Errorf("%s: prefixes of %d tokens are no whole blocks of keys", name, longest)
			}
		}
	}
}
