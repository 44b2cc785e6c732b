package laws

import (
	"fmt"
	"slices"
	"testing"

	"scored/model/checkpoint"
	"scored/score"
)

// compiled returns the number of programs that a plugin has compiled or loaded.
func compiled(plugin device) int64 {
	stats := plugin.Stats()
	return stats.Compiles + stats.CacheHits
}

// TestNothingCompilesAfterReady: no length, count, prefix or list of labels compiles a
// program after the start. It takes every fourth length and every third count, so that
// each step shape runs with many of them.
func TestNothingCompilesAfterReady(t *testing.T) {
	const context = 512
	plugin := openPlugin(t)
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), context), 8<<20), context, nil)
	ready := compiled(plugin)

	const longest = context - 7
	for n := 1; n <= longest; n += 4 {
		run(t, scorer, request(nil, tokens(n, n)))
		run(t, scorer, request(tokens(n, n-1), tokens(1, 1), tokens(2, 1)))
	}
	for n := 1; n <= 70; n += 3 {
		run(t, scorer, request(nil, among(tokens(7, n), n-1, 0)...))
		run(t, scorer, request(tokens(n, 3*n), among(tokens(7, 10), n-1, n-1)...))
	}
	for n := 1; n <= 200; n += 3 {
		for _, softmax := range []bool{false, true} {
			req := request(tokens(1, 80), among(tokens(7, 9), n%12, 0)...)
			req.Softmax, req.Logprobs, req.Labels = softmax, !softmax, nil
			for i := range n {
				req.Labels = append(req.Labels, score.Label{ID: int64(i)})
			}
			run(t, scorer, req)
		}
	}
	if n := compiled(plugin) - ready; n != 0 {
		t.Errorf("%d programs were compiled or loaded after the start", n)
	}
}

// TestLongPrompts: a query longer than any step is computed in slices, each on the part
// that is already on the device. That needs no further program, and the second time next
// to nothing is computed.
func TestLongPrompts(t *testing.T) {
	const context, slice = 16384, 256
	plugin := openPlugin(t)
	cfg := checkpoint.Config{HiddenSize: 16, Layers: 1, Heads: 1, KVHeads: 1, HeadDim: 8, IntermediateSize: 16, VocabSize: 512,
		RopeTheta: 1e6, RMSEps: 1e-6, TieEmbeddings: true, MaxPositions: context}
	seen, near := &spans{}, nearness(t, cfg)
	buckets := slices.DeleteFunc(defaults(cfg, context),
		func(b score.Bucket) bool { return b.Tokens != 64 && b.Tokens != slice }) // fewer to compile
	scorer := newScorer(t, newEngine(t, plugin, cfg, buckets, cacheBytes), context, seen)
	ready := compiled(plugin)
	for _, n := range []int{2000, 2049, 16000} {
		req := request(tokens(1, n), tokens(2, 20), tokens(3, 5)) // continues the query before
		cold := run(t, scorer, req)
		if steps := len(seen.take()); steps > n/slice+3 {
			t.Errorf("%d tokens took %d steps, want one a slice of %d, and three", n, steps, slice)
		}
		hit := run(t, scorer, req)
		for i := range cold.Logprobs {
			near(t, fmt.Sprintf("%d tokens, item %d", n, i), hit.Logprobs[i], cold.Logprobs[i])
		}
		if left := 2*n - hit.Usage.CachedTokens; left > slice {
			t.Errorf("%d of %d tokens were computed the second time", left, n)
		}
	}
	if n := compiled(plugin) - ready; n != 0 {
		t.Errorf("%d programs were compiled or loaded after the start", n)
	}
}
