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
// Prices are those of Qwen3-0.6B's layers on two cores, fitted by `scored calibrate`. Only their proportions decide how
// steps are formed, so more cores need no other row.
func processors() []Target {
	return []Target{
		processor("cpu-avx2", Float32, Price{Idle: 0.085, Flops: 186e9, Bytes: 15e9, Attention: 75e9, CachedTokens: 512, Uncached: 0.15}),
		processor("cpu-avx512", Float32, Price{Idle: 0.040, Flops: 370e9, Bytes: 15e9, Attention: 150e9, CachedTokens: 512, Uncached: 0.15}),
		processor("cpu-bf16", "", Price{Idle: 0.040, Flops: 370e9, Bytes: 15e9, Attention: 150e9, CachedTokens: 512, Uncached: 0.15}),
	}
}

func processor(name string, products DType, price Price) Target {
	return Target{
		Name: name, Platform: "cpu", Weights: Float32, Products: products, HostMemory: true, Replicas: "cpu_device_count",
		Ladders: map[Attention]Ladder{Native: narrow}, Prices: map[Attention]Price{Native: price},
	}
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
