package checkpoint

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes/bfloat16"
)

// tests/golden/weights.json holds pieces of tensors as tests/golden/weights.py computes
// them.
func TestGenerateAsPython(t *testing.T) {
	data, err := os.ReadFile("../../tests/golden/weights.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Samples []struct {
			Seed   uint64    `json:"seed"`
			Name   string    `json:"name"`
			Shape  []int     `json:"shape"`
			Begin  int       `json:"begin"`
			Values []float32 `json:"values"`
		} `json:"samples"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Samples) == 0 {
		t.Fatal("no samples")
	}
	for _, sample := range golden.Samples {
		source := &Generated{seed: sample.Seed, specs: map[string]TensorSpec{sample.Name: {sample.Name, sample.Shape}}}
		tensor, err := source.Tensor(sample.Name)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(sample.Values))
		tensor.Float32(got, sample.Begin)
		if !slices.Equal(got, sample.Values) {
			t.Errorf("seed %d, %s from %d is\n%v, want\n%v", sample.Seed, sample.Name, sample.Begin, got, sample.Values)
		}
	}
}

// Any range gives what the whole tensor has there, and bfloat16 loses nothing.
func TestGenerateRanges(t *testing.T) {
	tensor, err := Generate(smallConfig(), 3).Tensor("model.layers.1.mlp.up_proj.weight")
	if err != nil {
		t.Fatal(err)
	}
	whole := float32sOf(tensor)
	for _, r := range [][2]int{{0, 0}, {0, 1}, {0, 8}, {1, 8}, {7, 9}, {8, 16}, {3, 5}, {13, 40}, {len(whole) - 5, len(whole)}, {len(whole), len(whole)}} {
		part, short := make([]float32, r[1]-r[0]), make([]bfloat16.BFloat16, r[1]-r[0])
		tensor.Float32(part, r[0])
		tensor.BFloat16(short, r[0])
		if !slices.Equal(part, whole[r[0]:r[1]]) {
			t.Errorf("elements %v are %v, want %v", r, part, whole[r[0]:r[1]])
		}
		for i, x := range short {
			if x.Float32() != part[i] {
				t.Errorf("element %d is %v in bfloat16, want %v", r[0]+i, x.Float32(), part[i])
			}
		}
	}
}

func TestTensorRangeOutside(t *testing.T) {
	tensor, err := Generate(smallConfig(), 3).Tensor(NormName)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ from, n int }{{-1, 1}, {tensor.Size(), 1}, {1, tensor.Size()}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d elements from %d: no panic", r.n, r.from)
				}
			}()
			tensor.Float32(make([]float32, r.n), r.from)
		}()
	}
}

// Another seed, or another tensor of the same shape, has other numbers; means and
// deviations are as documented.
func TestGenerateDistribution(t *testing.T) {
	cfg := smallConfig()
	for _, test := range []struct {
		name            string
		mean, deviation float64
	}{
		{EmbeddingName, 0, 147.8 / (1 << 9)},                             // in = 64, doubled
		{"model.layers.0.self_attn.o_proj.weight", 0, 147.8 / (1 << 10)}, // in = 64
		{"model.layers.0.mlp.down_proj.weight", 0, 147.8 / (1 << 11)},    // in = 128
		{"model.layers.0.input_layernorm.weight", 1, 0.144},
		{"model.layers.0.self_attn.k_norm.weight", 1.25, 0.144},
	} {
		tensor, err := Generate(cfg, 1).Tensor(test.name)
		if err != nil {
			t.Fatal(err)
		}
		values := float32sOf(tensor)
		var sum, squares float64
		for _, x := range values {
			sum += float64(x)
			squares += (float64(x) - test.mean) * (float64(x) - test.mean)
		}
		n := float64(len(values))
		if off := math.Abs(sum/n - test.mean); off > 4*test.deviation/math.Sqrt(n) {
			t.Errorf("%s has mean %v, want %v", test.name, sum/n, test.mean)
		}
		if d := math.Sqrt(squares / n); math.Abs(d/test.deviation-1) > 2/math.Sqrt(n) {
			t.Errorf("%s has deviation %v, want %v", test.name, d, test.deviation)
		}
	}
	get := func(seed uint64, name string) []float32 {
		tensor, err := Generate(cfg, seed).Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		return float32sOf(tensor)
	}
	gate := get(1, "model.layers.0.mlp.gate_proj.weight")
	if slices.Equal(gate, get(2, "model.layers.0.mlp.gate_proj.weight")) || slices.Equal(gate, get(1, "model.layers.0.mlp.up_proj.weight")) {
		t.Error("different tensors have the same numbers")
	}
}

func TestGenerateUnknown(t *testing.T) {
	if _, err := Generate(smallConfig(), 1).Tensor(headName); err == nil {
		t.Error("a tied model has a vocabulary head of its own")
	}
}

func BenchmarkGenerate(b *testing.B) {
	tensor, err := Generate(Qwen3_0_6B(), 1).Tensor("model.layers.0.mlp.up_proj.weight")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("float32", func(b *testing.B) {
		dst := make([]float32, tensor.Size())
		b.SetBytes(int64(4 * len(dst)))
		for b.Loop() {
			tensor.Float32(dst, 0)
		}
	})
	b.Run("bfloat16", func(b *testing.B) {
		dst := make([]bfloat16.BFloat16, tensor.Size())
		b.SetBytes(int64(2 * len(dst)))
		for b.Loop() {
			tensor.BFloat16(dst, 0)
		}
	})
}

// smallConfig is a small model with a tied head; it is tests/golden/tiny.json's.
func smallConfig() Config {
	return Config{QKNorm: true, HiddenSize: 64, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16, IntermediateSize: 128, VocabSize: 512,
		RopeTheta: 1e6, RMSEps: 1e-6, TieEmbeddings: true, MaxPositions: 40960, TorchDtype: "float32"}
}

func float32sOf(tensor Tensor) []float32 {
	values := make([]float32, tensor.Size())
	tensor.Float32(values, 0)
	return values
}
