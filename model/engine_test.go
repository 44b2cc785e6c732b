package model

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"

	"scored/score"
	"scored/tests/rounding"
)

func tinyBuckets() []score.Bucket {
	return []score.Bucket{
		{Tokens: 32, Rows: 1, Length: 32, Cost: 32},
		{Tokens: 64, Rows: 4, Length: 32, Cost: 70},
		{Tokens: 64, Rows: 8, Length: 32, Prefix: 32, Cost: 80},
		{Tokens: 32, Rows: 2, Length: 16, Prefix: 128, Cost: 90},
	}
}

func tinyEngine(t *testing.T, buckets []score.Bucket) *Engine {
	t.Helper()
	return newTestEngine(t, pureGo(t), smallConfig(), buckets)
}

// pureGo is GoMLX's own backend. It runs one operation after the other: side by side, many products wait for each other's
// workers for ever.
func pureGo(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	return backend
}

func newTestEngine(t *testing.T, backend compute.Backend, cfg Config, buckets []score.Bucket) *Engine {
	t.Helper()
	return optionsEngine(t, backend, cfg, Options{DType: dtypes.Float32, Buckets: buckets, PrefixCacheBytes: 1 << 20})
}

func optionsEngine(t *testing.T, backend compute.Backend, cfg Config, options Options) *Engine {
	t.Helper()
	engine, err := New(t.Context(), backend, cfg, Generate(cfg, 1), options)
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

func testTokens(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*7919 + i*i*31 + i*104729) % 512)
	}
	return ids
}

// TestSharedPrefixEqualsWholePrompt: a row hanging on a prefix, new or kept, scores like the same prompt standing alone.
func TestSharedPrefixEqualsWholePrompt(t *testing.T) {
	engine := tinyEngine(t, tinyBuckets())
	query := testTokens(1, 20)
	labels := []int32{3, 500, 77}
	var alone [][]float32
	var rows []*score.Row
	for i := range 3 {
		prompt := append(append([]int32{}, query...), testTokens(10+i, 4+3*i)...)
		answers, err := engine.Run(&score.Step{Bucket: tinyBuckets()[0], Rows: []*score.Row{{Tokens: prompt, Labels: labels}}})
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, answers[0])
		rows = append(rows, &score.Row{Tokens: prompt, Shared: len(query), Labels: labels})
	}
	prefix := &score.Prefix{Tokens: query, Size: 32}
	step := &score.Step{Bucket: tinyBuckets()[2], Prefix: prefix, New: len(query), Rows: rows}
	fresh, err := engine.Run(step)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "new prefix", fresh, alone)
	kept, n := engine.Match(rows[0].Tokens, math.MaxInt)
	if kept != prefix || n != len(query) {
		t.Fatalf("Match found %v with %d tokens, want the prefix just computed with %d", kept, n, len(query))
	}
	hit, err := engine.Run(&score.Step{Bucket: tinyBuckets()[2], Prefix: kept, Base: kept, Kept: n, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "kept prefix", hit, alone)
}

// TestBrokenTokenStaysInItsRow: a token whose activations are NaN or infinite spoils the rows that see it, and neither those
// beside them in the step nor those that use the tokens before it in a kept prefix.
func TestBrokenTokenStaysInItsRow(t *testing.T) {
	const bad = 511
	backend := pureGo(t)
	cfg := smallConfig()
	cfg.TieEmbeddings = false // a tied head would spoil every row
	for _, value := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		source := spoiled{Generate(cfg, 1), bad * cfg.HiddenSize, value}
		engine, err := New(t.Context(), backend, cfg, source, Options{DType: dtypes.Float32, Buckets: tinyBuckets(), PrefixCacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		run := func(step *score.Step) [][]float32 {
			answers, err := engine.Run(step)
			if err != nil {
				t.Fatal(err)
			}
			return answers
		}
		row := func(shared int, tokens ...int32) *score.Row {
			return &score.Row{Tokens: tokens, Shared: shared, Labels: []int32{3, 500, 77}}
		}
		broken := func(answer []float32) bool { return math.IsNaN(float64(answer[0])) }
		alone := run(&score.Step{Bucket: tinyBuckets()[0], Rows: []*score.Row{row(0, 5, 6, 7)}})

		beside := run(&score.Step{Bucket: tinyBuckets()[1], Rows: []*score.Row{row(0, bad, 8), row(0, 5, 6, 7), row(0, 9, bad, 8)}})
		closeTo(t, "beside broken rows", beside[1:2], alone)
		sound := &score.Prefix{Tokens: []int32{5, 6}, Size: 32}
		sharing := run(&score.Step{Bucket: tinyBuckets()[2], Prefix: sound, New: 2, Rows: []*score.Row{row(2, 5, 6, bad), row(2, 5, 6, 7)}})
		closeTo(t, "on a prefix beside a broken row", sharing[1:], alone)
		prefix := &score.Prefix{Tokens: []int32{5, 6, bad}, Size: 32}
		hanging := run(&score.Step{Bucket: tinyBuckets()[2], Prefix: prefix, New: 3, Rows: []*score.Row{row(3, 5, 6, bad, 8), row(2, 5, 6, 7), row(0, 5, 6, 7)}})
		closeTo(t, "on the sound part of a prefix", hanging[1:2], alone)
		closeTo(t, "beside a broken prefix", hanging[2:3], alone)
		next := &score.Prefix{Tokens: []int32{5, 6}, Size: 32}
		after := run(&score.Step{Bucket: tinyBuckets()[2], Prefix: next, Base: prefix, Kept: 2, Rows: []*score.Row{row(2, 5, 6, 7)}})
		closeTo(t, "on a prefix made of a broken one", after, alone)
		for i, answer := range [][]float32{beside[0], beside[2], hanging[0], sharing[0]} {
			if !broken(answer) {
				t.Errorf("broken row %d has the scores %v", i, answer)
			}
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}
}

// spoiled is a Source whose embedding has one other number.
type spoiled struct {
	Source
	at    int
	value float32
}

func (s spoiled) Tensor(name string) (Tensor, error) {
	tensor, err := s.Source.Tensor(name)
	if name == embeddingName {
		tensor.DType = dtypes.Float32
		tensor.numbers = spoiledNumbers{tensor.numbers, s.at, s.value}
	}
	return tensor, err
}

type spoiledNumbers struct {
	numbers
	at    int
	value float32
}

func (n spoiledNumbers) float32s(dst []float32, from int) {
	n.numbers.float32s(dst, from)
	if n.at >= from && n.at < from+len(dst) {
		dst[n.at-from] = n.value
	}
}

// closeTo wants log-probabilities of smallConfig, or of a larger model, as close as two roundings of the same numbers.
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

// TestFailedStepForgetsItsPrefix: where executions are queued, a fault of the blocks shows only when scores are read, by
// when the prefix they computed has been kept.
func TestFailedStepForgetsItsPrefix(t *testing.T) {
	engine := tinyEngine(t, tinyBuckets())
	query := testTokens(1, 20)
	prompt := append(slices.Clone(query), testTokens(2, 4)...)
	step := &score.Step{Bucket: tinyBuckets()[2], Prefix: &score.Prefix{Tokens: query, Size: 32}, New: len(query),
		Rows: []*score.Row{{Tokens: prompt, Shared: len(query), Labels: []int32{3, 5}}}}
	if _, err := engine.Run(step); err != nil {
		t.Fatal(err)
	}
	if prefix, n := engine.Match(prompt, math.MaxInt); prefix != step.Prefix || n != len(query) {
		t.Fatalf("prefix of a good step is not kept: %v, %d tokens", prefix, n)
	}
	again := &score.Step{Bucket: step.Bucket, Prefix: step.Prefix, Base: step.Prefix, Kept: len(query), Rows: step.Rows}
	if err := engine.weights.finalNorm.FinalizeAll(); err != nil { // so that the head fails
		t.Fatal(err)
	}
	if _, err := engine.Run(again); err == nil {
		t.Fatal("a step without the final norm's weights succeeds")
	}
	if prefix, n := engine.Match(prompt, math.MaxInt); prefix != nil {
		t.Errorf("after a failed step %d tokens of its prefix are still kept", n)
	}
}
