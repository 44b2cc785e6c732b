package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"

	"scored/model/checkpoint"
	"scored/score/plan"
	"scored/tests/rounding"
)

func tinyBuckets() []plan.Bucket {
	return []plan.Bucket{
		{Tokens: 32, Rows: 1, Length: 32, Cost: 32},
		{Tokens: 64, Rows: 4, Length: 32, Cost: 70},
		{Tokens: 64, Rows: 8, Length: 32, Context: 64, Cost: 80},
		{Tokens: 32, Rows: 2, Length: 16, Context: 256, Cost: 90},
	}
}

// pureGo is GoMLX's own backend. It runs one operation after the other: side by side,
// many products wait for each other's workers for ever.
func pureGo(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	return backend
}

func newTestEngine(t *testing.T, backend compute.Backend, cfg checkpoint.Config, buckets []plan.Bucket) *Engine {
	t.Helper()
	return optionsEngine(t, backend, cfg, Options{DType: dtypes.Float32, Buckets: buckets, PrefixCacheBytes: 1 << 20})
}

func optionsEngine(t *testing.T, backend compute.Backend, cfg checkpoint.Config, options Options) *Engine {
	t.Helper()
	engine, err := New(t.Context(), backend, cfg, checkpoint.Generate(cfg, 1), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// smallConfig is a small model with a tied head; it is tests/golden/tiny.json's.
func smallConfig() checkpoint.Config {
	return checkpoint.Config{QKNorm: true, HiddenSize: 64, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16, IntermediateSize: 128, VocabSize: 512,
		RopeTheta: 1e6, RMSEps: 1e-6, TieEmbeddings: true, MaxPositions: 40960, TorchDtype: "float32"}
}

func testTokens(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*7919 + i*i*31 + i*104729) % 512)
	}
	return ids
}

// spoiled is a Source that replaces one number of the embedding.
type spoiled struct {
	checkpoint.Source
	at    int
	value float32
}

func (s spoiled) Tensor(name string) (checkpoint.Tensor, error) {
	tensor, err := s.Source.Tensor(name)
	if name == checkpoint.EmbeddingName {
		tensor.DType = dtypes.Float32
		tensor.Numbers = spoiledNumbers{tensor.Numbers, s.at, s.value}
	}
	return tensor, err
}

type spoiledNumbers struct {
	checkpoint.Numbers
	at    int
	value float32
}

func (n spoiledNumbers) Float32s(dst []float32, from int) {
	n.Numbers.Float32s(dst, from)
	if n.at >= from && n.at < from+len(dst) {
		dst[n.at-from] = n.value
	}
}

// closeTo checks that log-probabilities of smallConfig, or of a larger model, are as
// close as two roundings of the same numbers.
func closeTo(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	cfg := smallConfig()
	rule := rounding.Shape{Layers: cfg.Layers, Hidden: cfg.HiddenSize, Heads: cfg.Heads * cfg.HeadDim, MLP: cfg.IntermediateSize, Vocab: cfg.VocabSize}.Float32().Both()
	for i := range want {
		for k := range want[i] {
			bound := rule.Logprob(float64(want[i][k]))
			if d := math.Abs(float64(got[i][k] - want[i][k])); !(d <= bound) {
				t.Errorf("%s: row %d label %d is %v, want %v within %.2g", what, i, k, got[i][k], want[i][k], bound)
			}
		}
	}
}

// run runs a step and returns its answers.
func run(t *testing.T, engine *Engine, step *plan.Step) [][]float32 {
	t.Helper()
	answers, err := answersOf(engine, step)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func answersOf(engine *Engine, step *plan.Step) ([][]float32, error) {
	pending, err := engine.Run(step)
	if err != nil {
		return nil, err
	}
	return pending.Wait()
}

// slots returns n slots from first on.
func slots(first, n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(first + i)
	}
	return all
}

func labels() []int32 { return []int32{3, 500, 77} }
