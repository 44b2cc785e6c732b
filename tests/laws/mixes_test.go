package laws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"scored/model/checkpoint"
	"scored/score"
	"scored/tests/rounding"
)

// TestMixesOfRequests sends random mixes of requests at once. Queries begin alike and may
// take several steps, items have all lengths, the cache holds few of them, some clients
// leave, and the cache is flushed at times. Every prompt scores as it does alone in plain
// Go.
func TestMixesOfRequests(t *testing.T) {
	cfg := tiny()
	reference := newPlain(t, cfg, checkpoint.Generate(cfg, 1))
	rule := rounding.Shape{Layers: cfg.Layers, Hidden: cfg.HiddenSize, Heads: cfg.Heads * cfg.HeadDim, MLP: cfg.IntermediateSize, Vocab: cfg.VocabSize}.Float32()
	seen := &rounding.Seen{}
	buckets := append(shapes(), score.Bucket{Tokens: 64, Rows: 4, Length: 32, Context: 512, Cost: 1})
	engine := newEngine(t, openPlugin(t), cfg, buckets, 6*pageBytes(cfg))
	steps := &spans{}
	scorer := newScorer(t, engine, 512, steps)
	var clients sync.WaitGroup
	for client := range 8 {
		random := rand.New(rand.NewPCG(uint64(client), 3))
		clients.Go(func() {
			for n := range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				leaves := random.IntN(8) == 0
				if leaves {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(20))*time.Millisecond)
				}
				req := mixed(random)
				result, err := scorer.Score(ctx, req)
				cancel()
				var e *score.Error
				if leaves && errors.As(err, &e) && e.Kind == score.Deadline {
					continue
				}
				if err != nil {
					t.Errorf("client %d, request %d: %v", client, n, err)
					return
				}
				for i, item := range req.Items {
					want := reference.logprobs(append(append([]int64{}, req.Query.Tokens...), item.Tokens...))
					for k, label := range req.Labels {
						got, want := result.Logprobs[i][k], want[label.ID]
						if bound := rule.Logprob(want); !seen.Within(got, want, bound) {
							t.Errorf("client %d, request %d, item %d, label %d: %v, want %v within %.2g", client, n, i, k, got, want, bound)
						}
					}
				}
				if random.IntN(10) == 0 {
					_, _ = scorer.Flush() // refused while others are served
				}
			}
		})
	}
	clients.Wait()
	several, cached, ran := 0, 0, steps.take()
	for _, step := range ran {
		cached += max(step.Cached, 0)
		if len(step.Requests) > 1 {
			several++
		}
	}
	t.Log(seen, fmt.Sprintf("; %d steps, %d of them for several requests, %d tokens from the cache", len(ran), several, cached))
	if several == 0 || cached == 0 {
		t.Errorf("%d steps serve several requests, and %d tokens come from the cache: this compares too little", several, cached)
	}
}

// mixed returns a request. Its query is the beginning of one of three queries, which
// begin alike.
func mixed(random *rand.Rand) *score.Request {
	whole := append(tokens(1, 40), tokens(2+random.IntN(3), 400)...)
	query := whole[:[]int{0, 12, 40, 70, 150, 300, 430}[random.IntN(7)]]
	items := make([][]int64, 1+random.IntN(5))
	for i := range items {
		items[i] = tokens(random.IntN(400), 1+random.IntN(40))
	}
	return request(query, items...)
}
