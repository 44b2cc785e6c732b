package laws

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"scored/score"
)

// TestEveryBucketAgrees: in every default bucket, the answers to a request are within the
// bound of those of its prompts alone, one a step, in another bucket.
func TestEveryBucketAgrees(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	buckets := defaults(tiny(), 512)
	engine := newEngine(t, plugin, tiny(), buckets, cacheBytes)
	for _, b := range buckets {
		t.Run(fmt.Sprintf("t%d r%d l%d p%d", b.Tokens, b.Rows, b.Length, b.Context), func(t *testing.T) {
			// Rows as long as the bucket takes them, and short ones; the Scorer wants
			// seven tokens of room in a context.
			query := tokens(1, max(1, b.Context-7))
			longest := min(b.Length-8, 100)
			if b.Context == 0 {
				longest = min(b.Length-8, 500)
			}
			items := [][]int64{tokens(2, 1), tokens(3, min(17, longest)), tokens(4, longest), tokens(5, longest/2+1)}
			if b.Context > 0 {
				query = query[:len(query)-longest]
			}
			flush(t, newScorer(t, engine, 512, nil))
			forced := newScorer(t, only{engine, []score.Bucket{b}}, holds(b), nil)
			got := logprobs(t, forced, query, items...)
			forced.Close()
			others := slices.DeleteFunc(slices.Clone(buckets), func(other score.Bucket) bool { return other == b || other.Context > 0 })
			alone := newScorer(t, only{engine, others}, 512, nil)
			for i, item := range items {
				want := logprobs(t, alone, nil, append(query[:len(query):len(query)], item...))[0]
				near(t, fmt.Sprintf("item %d of %d tokens after %d", i, len(item), len(query)), got[i], want)
			}
			alone.Close()
		})
	}
}

// TestRepeats: the same request gives the same bits every time when it is alone.
func TestRepeats(t *testing.T) {
	plugin := openPlugin(t)
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, nil)
	for name, query := range map[string][]int64{"with a query": tokens(1, 100), "without": nil} {
		items := among(tokens(7, 20), 30, 11)
		first := logprobs(t, scorer, query, items...)
		for n := range 20 {
			flush(t, scorer)
			again := logprobs(t, scorer, query, items...)
			for i := range items {
				sameBits(t, fmt.Sprintf("%s, repeat %d, item %d", name, n, i), again[i], first[i])
			}
		}
	}
}

// TestTraffic: eight clients send requests at the same time, and every answer is within
// the bound of the answer to the request alone.
func TestTraffic(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), 4<<20), 512, nil)
	const clients, rounds = 8, 15
	requests := make([]*score.Request, 40)
	alone := make([]*score.Result, len(requests))
	for i := range requests {
		query := tokens(i, []int{0, 5, 70, 130, 300}[i%5])
		requests[i] = request(query, among(tokens(400+i, 1+i*3%60), []int{0, 3, 12, 60}[i%4], 0)...)
		alone[i] = run(t, scorer, requests[i])
	}
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for round := range rounds {
				n := (client*7 + round*11) % len(requests)
				result, err := scorer.Score(context.Background(), requests[n])
				if err != nil {
					t.Error(err)
					return
				}
				for i, want := range alone[n].Logprobs {
					near(t, fmt.Sprintf("client %d, request %d, item %d", client, n, i), result.Logprobs[i], want)
				}
			}
		})
	}
	all.Wait()
}
