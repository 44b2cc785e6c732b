package laws

import (
	"fmt"
	"testing"
)

// TestColdEqualsHit: a request whose query is on the device gets the bits of its first
// answer if the steps are alike. If a step without the query's tokens runs in another
// bucket, the answer is within the bound.
func TestColdEqualsHit(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	engine := newEngine(t, plugin, tiny(), append(shapes(), defaults(tiny(), 512)...), cacheBytes)
	oneBucket := only{engine, shapes()[5:6]}
	for _, c := range []struct {
		name string
		only only
		same func(t *testing.T, what string, got, want []float64)
	}{
		{"one bucket", oneBucket, sameBits},
		{"all buckets", only{engine, defaults(tiny(), 512)}, near},
	} {
		t.Run(c.name, func(t *testing.T) {
			scorer := newScorer(t, c.only, holds(c.only.buckets[len(c.only.buckets)-1]), nil)
			flush(t, scorer)
			query, items := tokens(1, 80), among(tokens(7, 20), 6, 3)
			cold := run(t, scorer, request(query, items...))
			again := func(what string, cached int) {
				t.Helper()
				result := run(t, scorer, request(query, items...))
				for i := range items {
					c.same(t, fmt.Sprintf("%s, item %d", what, i), result.Logprobs[i], cold.Logprobs[i])
				}
				if result.Usage.CachedTokens != cached {
					t.Errorf("%s: %d cached tokens, want %d", what, result.Usage.CachedTokens, cached)
				}
			}
			all, shared := len(query)*len(items), len(query)*(len(items)-1)
			if cold.Usage.CachedTokens != shared {
				t.Errorf("cold: %d cached tokens, want the query in all rows but one, %d", cold.Usage.CachedTokens, shared)
			}
			again("again", all)
			logprobs(t, scorer, tokens(2, 90), items...)
			again("after another query", all)
			logprobs(t, scorer, query[:75], items...)
			again("after a part of the query", all)
			if n := flush(t, scorer); n == 0 {
				t.Error("flush dropped nothing")
			}
			again("after a flush", shared)
		})
	}
}

// TestSharedEqualsUnshared: items on a common prefix score like the same prompts, each in
// a request of its own without a query.
func TestSharedEqualsUnshared(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, nil)
	for _, length := range []int{1, 20, 64, 127, 128, 129, 300, 480} {
		query, items := tokens(1, length), among(tokens(7, 20), 9, 4)
		shared := logprobs(t, scorer, query, items...)
		for i, item := range items {
			alone := logprobs(t, scorer, nil, append(query[:length:length], item...))[0]
			near(t, fmt.Sprintf("item %d after %d shared tokens", i, length), shared[i], alone)
		}
	}
}
