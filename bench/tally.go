package bench

import (
	"math"
	"slices"
	"sync"
	"time"
)

// tally counts the results of requests. Its methods are safe for concurrent use; its
// fields may be read when no request is in flight any more.
type tally struct {
	mix []Share

	mu        sync.Mutex        // of all below
	latencies [][]time.Duration // of answered requests, by index in the mix
	items     int
	prompt    int // tokens of all items in full
	computed  int // those of them that were computed
	told      int // answers that counted their tokens
	flop      float64
	failures  map[string]Failure
	cancelled int
	skipped   int           // arrivals that were not sent
	lag       time.Duration // longest between an arrival and its sending
}

// answer counts a correct answer to a request of that share of the mix. u is nil if the
// server does not count tokens.
func (t *tally) answer(share int, latency time.Duration, u *usage) {
	w := t.mix[share].Workload
	// Without usage, assume the requested length, and that the query was computed once.
	prompt, cached := w.Items*(w.QueryTokens+w.ItemTokens), (w.Items-1)*w.QueryTokens
	t.mu.Lock()
	defer t.mu.Unlock()
	if u != nil {
		prompt, cached = u.Prompt, u.Cached
		t.told++
	}
	if t.latencies == nil {
		t.latencies = make([][]time.Duration, len(t.mix))
	}
	t.latencies[share] = append(t.latencies[share], latency)
	t.items += w.Items
	t.prompt += prompt
	t.computed += prompt - cached
	t.flop += w.work(cached)
}

// fail counts a request without a correct answer, and keeps the first of each kind as
// an example.
func (t *tally) fail(f *failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.kind == kindCancelled {
		t.cancelled++
		return
	}
	if t.failures == nil {
		t.failures = map[string]Failure{}
	}
	seen, ok := t.failures[f.kind]
	if !ok {
		seen.Example = f.err.Error()
	}
	seen.Count++
	t.failures[f.kind] = seen
}

// skip counts an arrival that was not sent.
func (t *tally) skip() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skipped++
}

// sending records how late after its scheduled arrival a request is sent. Latencies count
// from the arrival, so they hold it: with a long lag a report measures this program.
func (t *tally) sending(late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = max(t.lag, late)
}

// typical returns the latency of the last answer of a share of the mix; 100 ms before
// there is one. Requests that are to be given up are so at a share of it.
func (t *tally) typical(share int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latencies == nil || len(t.latencies[share]) == 0 {
		return 100 * time.Millisecond
	}
	return t.latencies[share][len(t.latencies[share])-1]
}

// Latency holds percentiles of answered requests, in milliseconds.
type Latency struct {
	Requests int     `json:"requests"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
}

// newLatency returns the percentiles of the samples.
func newLatency(samples []time.Duration) Latency {
	sorted := slices.Sorted(slices.Values(samples))
	at := func(share float64) float64 {
		return float64(percentile(sorted, share)) / float64(time.Millisecond)
	}
	return Latency{Requests: len(sorted), P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1)}
}

// percentile returns the smallest of the sorted samples that at least a share of them
// does not exceed (nearest rank); 0 of none.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
