package target

import (
	"os"
	"strings"

	"golang.org/x/sys/cpu"
)

// processors returns the rows of processors, by what decides how fast they multiply.
// "cpu-avx2" stands for all processors without AVX-512. Weights are float32 by default.
// Where the processor multiplies bfloat16, --dtype bfloat16 uses that; elsewhere
// float32 products are as fast, and exact.
//
// Prices are those of Qwen3-0.6B's layers on two cores of an Intel Xeon (family 6,
// model 207: Emerald Rapids). They are fitted to the least time that each step took in
// three runs (five for the processor's own ISA) of
//
//	XLA_FLAGS=--xla_cpu_max_isa=ISA scored calibrate --model-path Qwen/Qwen3-0.6B \
//	  --load-format dummy --dtype DTYPE --out FILE
//
// with the ISA and DTYPE beside them, and the largest error of a step's prediction.
// Runs differ from each other by up to a third, because such a machine is shared. Only
// the proportions of prices decide how steps are formed, so more cores need no other
// row.
func processors() []Target {
	// The processor's own ISA, float32: 6 %.
	bf16 := processor("cpu-bf16", "", Price{Idle: 0.019, Flops: 204e9, Bytes: 9.5e9, Attention: 135e9})
	// The processor's own ISA, which has AMX, bfloat16: 18 %.
	bf16.BFloat16 = cached(Price{Idle: 0.054, Flops: 811e9, Bytes: 47e9, Attention: 253e9})
	return []Target{
		// AVX2, float32: 12 %.
		processor("cpu-avx2", Float32, Price{Idle: 0.049, Flops: 215e9, Bytes: 14e9, Attention: 118e9}),
		// AVX512, float32: 17 %.
		processor("cpu-avx512", Float32, Price{Idle: 0.073, Flops: 203e9, Bytes: 17e9, Attention: 104e9}),
		bf16,
	}
}

// processor returns the row of a processor.
func processor(name string, products DType, price Price) Target {
	return Target{
		Name: name, Platform: "cpu", Weights: Float32, Products: products, HostMemory: true,
		Replicas: "cpu_device_count",
		Ladders:  map[Attention]Ladder{Native: narrow},
		Prices:   map[Attention]Price{Native: *cached(price)},
	}
}

// cached adds the additional cost of a token beyond 512: the hidden states of more
// tokens do not fit the cache.
func cached(p Price) *Price {
	p.CachedTokens, p.Uncached = 512, 0.15
	return &p
}

// processorName returns the row of this machine's processor, as far as XLA's flags let
// it be used.
func processorName() string {
	return nameOf(isa{
		avx512: cpu.X86.HasAVX512F, bfloat16: cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16,
	}.upTo(os.Getenv("XLA_FLAGS")))
}

// isa holds the instruction sets that decide how fast a processor multiplies.
type isa struct{ avx512, bfloat16 bool }

// upTo removes what --xla_cpu_max_isa in XLA's flags forbids.
func (has isa) upTo(xlaFlags string) isa {
	for flag := range strings.FieldsSeq(xlaFlags) {
		name, most, _ := strings.Cut(flag, "=")
		if name != "--xla_cpu_max_isa" {
			continue
		}
		switch strings.ToUpper(most) {
		case "SSE4_2", "AVX", "AVX2":
			has = isa{}
		case "AVX512", "AVX512_VNNI": // below bfloat16 in XLA's order
			has.bfloat16 = false
		}
	}
	return has
}

// nameOf returns the name of the row for these instruction sets.
func nameOf(has isa) string {
	switch {
	case has.bfloat16:
		return "cpu-bf16"
	case has.avx512:
		return "cpu-avx512"
	}
	return "cpu-avx2"
}
