// Package laws tests the laws of docs/design.md: a row's numbers do not depend on the
// other rows of its step, on its prefix or on its bucket; nothing compiles after the
// start; memory is bounded; and little of a step is padding. The tests run a tiny Qwen3
// with generated weights in float32 on the CPU plugin, through the Scorer.
package laws

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/target"
	"scored/tests/rounding"
)

// tiny is the smallest shape with all parts of a Qwen3: several layers, grouped heads, a
// tied embedding.
func tiny() checkpoint.Config {
	return checkpoint.Config{HiddenSize: 64, Layers: 3, Heads: 4, KVHeads: 2, HeadDim: 16, IntermediateSize: 128, VocabSize: 512,
		RopeTheta: 1e6, RMSEps: 1e-6, QKNorm: true, TieEmbeddings: true, MaxPositions: 40960}
}

// cacheBytes is a KV cache of 87,000 tokens, which is full in no test that does not mean
// it to be. A larger one takes longer to fill with zeros than most tests run.
const cacheBytes = 1 << 26

// defaults are the step shapes of a processor for prompts shorter than contextLength.
func defaults(cfg checkpoint.Config, contextLength int) []score.Bucket {
	return priced(cfg, "cpu-avx2", target.Native, contextLength)
}

// priced returns a target's step shapes with their prices.
func priced(cfg checkpoint.Config, name string, attention target.Attention, contextLength int) []score.Bucket {
	t, ok := target.Named(name)
	if !ok {
		panic("no target is named " + name)
	}
	buckets := t.Ladders[attention](contextLength)
	model.Costs{Config: cfg, Attention: attention, Weights: t.Weights}.Predict(buckets, t, t.Price(attention, t.Weights))
	return buckets
}

// device is a plugin with the splicer that rewrites its programs.
type device struct {
	*pjrt.Plugin
	splicer *model.Splicer
}

// openPlugin opens the CPU plugin that `make setup` fetches, until the test ends.
func openPlugin(t *testing.T) device {
	t.Helper()
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("%s; run `make setup`", strings.TrimSpace(err.Error()))
	}
	splicer := model.NewSplicer(tiny())
	plugin, err := pjrt.Open(path, pjrt.Options{CacheDir: "../../.cache/compile", Rewrite: splicer.Rewrite})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plugin.Close(); err != nil {
			t.Error(err)
		}
	})
	return device{plugin, splicer}
}

// newEngine compiles the buckets; cacheBytes bounds the kept prefixes.
func newEngine(t *testing.T, plugin device, cfg checkpoint.Config, buckets []score.Bucket, cacheBytes int64) *model.Engine {
	t.Helper()
	engine, err := model.New(t.Context(), plugin.Backend(), cfg, checkpoint.Generate(cfg, 1),
		model.Options{DType: dtypes.Float32, Buckets: buckets, PrefixCacheBytes: cacheBytes, Splicer: plugin.splicer})
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

// only is an engine that shows some of its buckets, so that the Scorer uses only those.
type only struct {
	*model.Engine
	buckets []score.Bucket
}

func (o only) Buckets() []score.Bucket { return o.buckets }

// spans is an Observer that keeps the steps.
type spans struct {
	mu    sync.Mutex
	steps []score.Span
}

func (s *spans) Observe(span score.Span) {
	if span.Stage == score.StageStep {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.steps = append(s.steps, span)
	}
}

// take returns the steps since the last call.
func (s *spans) take() []score.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := s.steps
	s.steps = nil
	return steps
}

func newScorer(t *testing.T, engine score.Engine, context int, observer score.Observer) *score.Scorer {
	t.Helper()
	scorer, err := score.New(score.Config{Vocab: tiny().VocabSize, ContextLength: context, Observer: observer}, nil, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scorer.Close)
	return scorer
}

// tokens are n pseudo-random ids; the first is seed%512, so that items with different
// small seeds differ at once.
func tokens(seed, n int) []int64 {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = random.Int64N(512)
	}
	if n > 0 {
		ids[0] = int64(seed % 512)
	}
	return ids
}

// request asks for log-probabilities of a few labels.
func request(query []int64, items ...[]int64) *score.Request {
	req := &score.Request{ID: "r", Query: score.Part{IsTokens: true, Tokens: query}, Logprobs: true}
	for _, item := range items {
		req.Items = append(req.Items, score.Part{IsTokens: true, Tokens: item})
	}
	for _, label := range []int64{3, 500, 77} {
		req.Labels = append(req.Labels, score.Label{ID: label})
	}
	return req
}

func run(t *testing.T, scorer *score.Scorer, req *score.Request) *score.Result {
	t.Helper()
	result, err := scorer.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// logprobs scores the items after the query.
func logprobs(t *testing.T, scorer *score.Scorer, query []int64, items ...[]int64) [][]float64 {
	t.Helper()
	return run(t, scorer, request(query, items...)).Logprobs
}

func flush(t *testing.T, scorer *score.Scorer) int {
	t.Helper()
	n, err := scorer.Flush()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sameBits checks that two rows of numbers have the same bits.
func sameBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want the bits of %v", what, got, want)
	}
}

// nearness returns a check that two rows of a model's log-probabilities are as close as
// two roundings of the same numbers. At its end the test logs the largest difference.
// Several goroutines may call the check.
func nearness(t *testing.T, cfg checkpoint.Config) func(t *testing.T, what string, got, want []float64) {
	rule := rounding.Shape{Layers: cfg.Layers, Hidden: cfg.HiddenSize, Heads: cfg.Heads * cfg.HeadDim, MLP: cfg.IntermediateSize, Vocab: cfg.VocabSize}.Float32().Both()
	seen := &rounding.Seen{}
	t.Cleanup(func() { t.Log(seen) })
	return func(t *testing.T, what string, got, want []float64) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
			return
		}
		for i := range want {
			if bound := rule.Logprob(want[i]); !seen.Within(got[i], want[i], bound) {
				t.Errorf("%s: number %d is %v, want %v within %.2g", what, i, got[i], want[i], bound)
			}
		}
	}
}

// pageBytes is what a page of the KV cache takes in float32.
func pageBytes(cfg checkpoint.Config) int64 {
	return model.MemoryOf(cfg, model.Options{DType: dtypes.Float32}).Page
}
