package model

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/dtypes"

	"scored/score"
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
	backend, err := simplego.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	return newTestEngine(t, backend, smallConfig(), buckets)
}

func newTestEngine(t *testing.T, backend backends.Backend, cfg Config, buckets []score.Bucket) *Engine {
	t.Helper()
	return optionsEngine(t, backend, cfg, Options{DType: dtypes.Float32, Buckets: buckets, PrefixCacheBytes: 1 << 20})
}

func optionsEngine(t *testing.T, backend backends.Backend, cfg Config, options Options) *Engine {
	t.Helper()
	engine, err := New(backend, cfg, Generate(cfg, 1), options)
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
	closeTo(t, "new prefix", fresh, alone, 1e-5)
	kept, n := engine.Match(rows[0].Tokens)
	if kept != prefix || n != len(query) {
		t.Fatalf("Match found %v with %d tokens, want the prefix just computed with %d", kept, n, len(query))
	}
	hit, err := engine.Run(&score.Step{Bucket: tinyBuckets()[2], Prefix: kept, Base: kept, Kept: n, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "kept prefix", hit, alone, 1e-5)
}

func closeTo(t *testing.T, what string, got, want [][]float32, tolerance float64) {
	t.Helper()
	for i := range want {
		for k := range want[i] {
			if d := math.Abs(float64(got[i][k] - want[i][k])); !(d <= tolerance) {
				t.Errorf("%s: row %d label %d is %v, want %v within %g", what, i, k, got[i][k], want[i][k], tolerance)
			}
		}
	}
}
