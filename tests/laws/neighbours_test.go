package laws

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"scored/score"
)

// shapes are buckets of every kind: one row or several, short or long, with and without a
// prefix.
func shapes() []score.Bucket {
	return []score.Bucket{
		{Tokens: 64, Rows: 1, Length: 64, Cost: 1}, {Tokens: 64, Rows: 3, Length: 32, Cost: 1},
		{Tokens: 512, Rows: 6, Length: 128, Cost: 1}, {Tokens: 256, Rows: 12, Length: 32, Cost: 1},
		{Tokens: 96, Rows: 3, Length: 32, Context: 128, Cost: 1}, {Tokens: 256, Rows: 8, Length: 32, Context: 128, Cost: 1},
		{Tokens: 256, Rows: 1, Length: 256, Context: 128, Cost: 1}, {Tokens: 512, Rows: 24, Length: 32, Context: 512, Cost: 1},
	}
}

// holds returns the context length of a Scorer that has this bucket alone.
func holds(b score.Bucket) int { return max(b.Length, b.Context+1) }

// among returns n other items of up to 20 tokens, with the item inserted at a place.
func among(item []int64, n, place int) [][]int64 {
	items := make([][]int64, n)
	for i := range items {
		items[i] = tokens(100+i, 1+i%20)
	}
	return slices.Insert(items, place, item)
}

// TestNeighboursChangeNothing: inside one bucket an item's numbers are within the bound
// of two roundings of its numbers alone, among any other items, at any place, with a
// query that the step computes or finds on the device. The first item even has the same
// bits, as long as the same head reads them: a token's sums go over the tokens before it,
// in an order that their places in the step decide, and over no token behind it.
func TestNeighboursChangeNothing(t *testing.T) {
	const sameHead = 7 // number of other items up to which the smallest head reads all rows
	plugin, near := openPlugin(t), nearness(t, tiny())
	engine := newEngine(t, plugin, tiny(), shapes(), cacheBytes)
	for _, b := range shapes() {
		t.Run(fmt.Sprintf("%+v", b), func(t *testing.T) {
			scorer := newScorer(t, only{engine, []score.Bucket{b}}, holds(b), nil)
			flush(t, scorer)
			var query []int64
			if b.Context > 0 {
				query = tokens(1, 70) // long enough to be a prefix for a single item too
			}
			item := tokens(7, 20)
			alone := logprobs(t, scorer, query, item)[0]
			for _, others := range []int{1, sameHead, 31, 499} {
				if others > 31 && b.Rows < 8 {
					continue // takes hundreds of steps, all alike
				}
				for _, place := range []int{0, others / 2, others} {
					what := fmt.Sprintf("at %d among %d others", place, others)
					got := logprobs(t, scorer, query, among(item, others, place)...)[place]
					if near(t, what, got, alone); place == 0 && others <= sameHead {
						sameBits(t, what, got, alone)
					}
					if place == 0 {
						flush(t, scorer) // the next one computes the query again
					}
				}
			}
		})
	}
}

// TestNeighboursAcrossBuckets: if the Scorer may choose from all buckets, the answer
// stays within the bound.
func TestNeighboursAcrossBuckets(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	seen := &spans{}
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, seen)
	query, item := tokens(1, 70), tokens(7, 20)
	alone := logprobs(t, scorer, query, item)[0]
	for _, others := range []int{1, 7, 31, 499} {
		for _, place := range []int{0, others / 2, others} {
			got := logprobs(t, scorer, query, among(item, others, place)...)[place]
			near(t, fmt.Sprintf("at %d among %d others", place, others), got, alone)
		}
	}
	used := map[score.Bucket]bool{}
	for _, step := range seen.take() {
		used[step.Bucket] = true
	}
	if len(used) < 3 {
		t.Errorf("steps ran in %d buckets; this compares too few", len(used))
	}
}

// TestPermutation: the same items in another order have the same numbers in that order,
// within the bound.
func TestPermutation(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, nil)
	items := make([][]int64, 192)
	for i := range items {
		items[i] = tokens(i, 1+i%30)
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(items))
	shuffled := make([][]int64, len(items))
	for to, from := range order {
		shuffled[to] = items[from]
	}
	for name, query := range map[string][]int64{"with a query": tokens(1, 30), "without": {}} {
		want := logprobs(t, scorer, query, items...)
		flush(t, scorer)
		got := logprobs(t, scorer, query, shuffled...)
		for to, from := range order {
			near(t, fmt.Sprintf("%s: item %d at %d", name, from, to), got[to], want[from])
		}
	}
}

// TestNeighboursTokens: a neighbour of the same length may have any tokens; no bit
// changes.
func TestNeighboursTokens(t *testing.T) {
	plugin := openPlugin(t)
	scorer := newScorer(t, newEngine(t, plugin, tiny(), defaults(tiny(), 512), cacheBytes), 512, nil)
	for name, query := range map[string][]int64{"with a query": tokens(1, 70), "without": {}} {
		for _, others := range []int{1, 7, 40} {
			items := among(tokens(7, 20), others, others/2)
			flush(t, scorer)
			want := logprobs(t, scorer, query, items...)[others/2]
			for i := range items {
				if i != others/2 {
					items[i] = tokens(300+i, len(items[i]))
				}
			}
			flush(t, scorer)
			sameBits(t, fmt.Sprintf("%s, among %d others", name, others), logprobs(t, scorer, query, items...)[others/2], want)
		}
	}
}
