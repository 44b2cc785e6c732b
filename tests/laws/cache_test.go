package laws

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"scored/score"
)

// TestPrefixCacheIsBounded: after hundreds of queries the device holds no more than at
// the start. The queries used last are kept. A query that was displaced gets the same
// answer as before. A flush leaves nothing.
func TestPrefixCacheIsBounded(t *testing.T) {
	const kept, queries = 4, 300
	plugin := openPlugin(t)
	cfg := tiny()
	buckets := []score.Bucket{{Tokens: 160, Rows: 4, Length: 32, Context: 128, Cost: 1}}
	scorer := newScorer(t, newEngine(t, plugin, cfg, buckets, kept*pageBytes(cfg)), holds(buckets[0]), nil)
	items := among(tokens(7, 5), 2, 1)
	ask := func(n int) *score.Result { return run(t, scorer, request(tokens(n, 100), items...)) } // a page each

	ask(queries)
	flush(t, scorer)
	empty := plugin.Stats().Buffers
	var first *score.Result
	for n := range queries {
		result := ask(n)
		if n == 0 {
			first = result
		}
		if held := plugin.Stats().Buffers; held != empty {
			t.Fatalf("%d buffers after %d queries, want as many as without any, %d", held, n+1, empty)
		}
		if n%50 == 49 { // recently used: on the device
			if again := ask(n - kept + 1); again.Usage.CachedTokens != 100*len(items) {
				t.Errorf("query %d of %d has %d cached tokens, want all of the query's in %d rows", n-kept+2, n+1, again.Usage.CachedTokens, len(items))
			}
		}
	}
	again := ask(0)
	if want := 100 * (len(items) - 1); again.Usage.CachedTokens != want {
		t.Errorf("a displaced query has %d cached tokens, want those shared inside the request, %d", again.Usage.CachedTokens, want)
	}
	for i := range items {
		sameBits(t, fmt.Sprintf("item %d after its query was displaced", i), again.Logprobs[i], first.Logprobs[i])
	}
	if n := flush(t, scorer); n != kept {
		t.Errorf("flush dropped %d prefixes, want %d", n, kept)
	}
}

// turns is an Observer of the steps around one request.
type turns struct {
	mu      sync.Mutex
	first   chan struct{} // closed by the first step
	queued  time.Time     // when the small request began to wait
	started int64         // number of the first step with it; 0: none yet
	steps   []score.Span
}

func (o *turns) Observe(span score.Span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case span.Stage == score.StageStep:
		if o.steps = append(o.steps, span); len(o.steps) == 1 {
			close(o.first)
		}
		for _, id := range span.Requests {
			if id == "small" && o.started == 0 {
				o.started = span.Number
			}
		}
	case span.Stage == score.StageWait && span.RequestID == "small":
		o.queued = span.Start
	}
}

// TestLargeRequestStarvesNobody: while a request of 10,000 items is answered, a small
// request waits for the step under way and one more.
func TestLargeRequestStarvesNobody(t *testing.T) {
	plugin := openPlugin(t)
	seen := &turns{first: make(chan struct{})}
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, seen)
	items := make([][]int64, 10_000)
	for i := range items {
		items[i] = tokens(i, 1+i%8)
	}
	large := request(tokens(1, 40), items...)
	var done sync.WaitGroup
	done.Go(func() {
		result, err := scorer.Score(t.Context(), large)
		if err != nil || len(result.Logprobs) != len(items) {
			t.Errorf("large request: %v", err)
		}
	})
	<-seen.first
	small := request(tokens(2, 40), tokens(3, 5))
	small.ID = "small"
	run(t, scorer, small)
	done.Wait()

	waited := 0
	for _, step := range seen.steps {
		if step.Start.After(seen.queued) && step.Number < seen.started {
			waited++
		}
	}
	if last := len(seen.steps); waited > 2 || seen.started == 0 || last < int(seen.started)+20 {
		t.Errorf("small request waited for %d steps to begin and ran in step %d of %d, want 2 at most and long before the end", waited, seen.started, last)
	}
}
