package target

import (
	"os"
	"strings"

	"golang.org/x/sys/cpu"
)

// processors are the rows of processors, by what decides how fast they multiply: "cpu-avx2" stands for all without
// AVX-512. Weights are float32 unless told otherwise. Where the processor multiplies bfloat16, --dtype bfloat16 does so;
// elsewhere float32 products are as fast, and exact.
//
// Prices are those of Qwen3-0.6B's layers on two cores of an Intel Xeon (family 6, model 207: Emerald Rapids),
// fitted to the least time that each step took in three runs (five of the processor's own ISA) of
//
//	XLA_FLAGS=--xla_cpu_max_isa=ISA scored calibrate --model-path Qwen/Qwen3-0.6B --load-format dummy --dtype DTYPE --out FILE
//
// with the ISA and DTYPE beside them, and how far the step is off that fits worst. One run beside another differs by up
// to a third, as such a machine is shared. Only their proportions decide how steps are formed, so more cores need no
// other row.
func processors() []Target {
	bf16 := processor("cpu-bf16", "", Price{Idle: 0.019, Flops: 204e9, Bytes: 9.5e9, Attention: 135e9}) // its own ISA, float32: 6 %
	bf16.BFloat16 = cached(Price{Idle: 0.054, Flops: 811e9, Bytes: 47e9, Attention: 253e9})             // its own ISA, which has AMX, bfloat16: 18 %
	return []Target{
		processor("cpu-avx2", Float32, Price{Idle: 0.049, Flops: 215e9, Bytes: 14e9, Attention: 118e9}),   // AVX2, float32: 12 %
		processor("cpu-avx512", Float32, Price{Idle: 0.073, Flops: 203e9, Bytes: 17e9, Attention: 104e9}), // AVX512, float32: 17 %
		bf16,
	}
}

func processor(name string, products DType, price Price) Target {
	return Target{
		Name: name, Platform: "cpu", Weights: Float32, Products: products, HostMemory: true, Replicas: "cpu_device_count",
		Ladders: map[Attention]Ladder{Native: narrow}, Prices: map[Attention]Price{Native: *cached(price)},
	}
}

// cached adds what a token beyond 512 costs more: by then the hidden states have left the cache.
func cached(p Price) *Price {
	p.CachedTokens, p.Uncached = 512, 0.15
	return &p
}

// processorName is the row of the processor at hand, less what XLA's flags leave out of it.
func processorName() string {
	return nameOf(isa{
		avx512: cpu.X86.HasAVX512F, bfloat16: cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16,
	}.upTo(os.Getenv("XLA_FLAGS")))
}

// isa is what of a processor's instructions decides how fast it multiplies.
type isa struct{ avx512, bfloat16 bool }

// upTo leaves out what --xla_cpu_max_isa among XLA's flags does.
func (has isa) upTo(xlaFlags string) isa {
	for flag := range strings.FieldsSeq(xlaFlags) {
		name, most, _ := strings.Cut(flag, "=")
		if name != "--xla_cpu_max_isa" {
			continue
		}
		switch strings.ToUpper(most) {
		case "SSE4_2", "AVX", "AVX2":
			has = isa{}
		case "AVX512", "AVX512_VNNI": // come before bfloat16 in XLA's order
			has.bfloat16 = false
		}
	}
	return has
}

func nameOf(has isa) string {
	switch {
	case has.bfloat16:
		return "cpu-bf16"
	case has.avx512:
		return "cpu-avx512"
	}
	return "cpu-avx2"
}
