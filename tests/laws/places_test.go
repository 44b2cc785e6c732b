package laws

import (
	"fmt"
	"slices"
	"testing"

	"scored/score"
	"scored/tests/rounding"
)

// TestPositionsAreThoseOfCutItems: the scores behind a position of an item are those of
// the item cut there, within the bound of two roundings. It runs in steps of any one
// shape, which cut prompts into windows of any size, on a query that is computed or kept,
// beside other items, in another order, and with the query behind the items.
func TestPositionsAreThoseOfCutItems(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	engine := newEngine(t, plugin, tiny(), shapes(), cacheBytes)
	for _, b := range shapes() {
		t.Run(fmt.Sprintf("%+v", b), func(t *testing.T) {
			scorer := newScorer(t, only{engine, []score.Bucket{b}}, holds(b), nil)
			var query []int64
			items, positions := [][]int64{tokens(7, 17), tokens(8, 12), tokens(9, 20)}, []int64{11, 0, -1, 7, 8, -10, -12, 3, 5, 6}
			if b.Context > 0 {
				query = tokens(1, 50)
				items, positions = [][]int64{tokens(7, 40), tokens(8, 31), tokens(9, 60)}, []int64{30, 0, -1, 7, 8, 29, -31, 13}
			}
			for _, first := range []bool{false, true} {
				want := cutItems(t, scorer, query, items, positions, first)
				flush(t, scorer)
				for _, state := range []string{"computed", "kept"} {
					req := request(query, items...)
					req.Positions, req.ItemFirst = positions, first
					for i, places := range run(t, scorer, req).PositionLogprobs {
						for k := range positions {
							near(t, fmt.Sprintf("%s, item first %t: item %d position %d", state, first, i, positions[k]), places[k], want[i][k])
						}
					}
					slices.Reverse(items)
					slices.Reverse(want)
				}
				slices.Reverse(items)
			}
		})
	}
}

// TestSequencesAreSumsOfTheirTokens: the log-likelihood of a label of several tokens is
// the sum of its tokens' log-probabilities, each after the prompt and the tokens before
// it, within the bound of two roundings of each. It runs in steps of any one shape, on a
// prompt that is computed or kept, beside other items and other labels.
func TestSequencesAreSumsOfTheirTokens(t *testing.T) {
	plugin := openPlugin(t)
	engine := newEngine(t, plugin, tiny(), shapes(), cacheBytes)
	cfg := tiny()
	rule := rounding.Shape{Layers: cfg.Layers, Hidden: cfg.HiddenSize, Heads: cfg.Heads * cfg.HeadDim, MLP: cfg.IntermediateSize, Vocab: cfg.VocabSize}.Float32().Both()
	seen := &rounding.Seen{}
	labels := [][]int64{{3, 500, 77, 4, 5}, {3, 500, 9}, {8}, {3, 500}, {20, 21, 22, 23, 24, 25}}
	for _, b := range shapes() {
		t.Run(fmt.Sprintf("%+v", b), func(t *testing.T) {
			scorer := newScorer(t, only{engine, []score.Bucket{b}}, holds(b), nil)
			var query []int64
			if b.Context > 0 {
				query = tokens(1, 50)
			}
			items := [][]int64{tokens(7, 15), tokens(8, 2), tokens(9, 11)}
			want := sums(t, scorer, query, items, labels)
			flush(t, scorer)
			for _, state := range []string{"computed", "kept", "in another order"} {
				req := request(query, items...)
				req.Labels, req.Sequences = nil, labels
				for i, row := range run(t, scorer, req).Logprobs {
					for k, label := range labels {
						if got := row[k]; !seen.Within(got, want[i][k], rule.Sum(want[i][k], len(label))) {
							t.Errorf("%s: item %d label %v has %v, want %v", state, i, label, got, want[i][k])
						}
					}
				}
				if state == "kept" {
					slices.Reverse(items)
					slices.Reverse(want)
				}
			}
		})
	}
	t.Log(seen)
}

// sums adds up the log-probabilities of a label's tokens, each from a request of its own.
func sums(t *testing.T, scorer *score.Scorer, query []int64, items, labels [][]int64) (all [][]float64) {
	t.Helper()
	for _, item := range items {
		row := make([]float64, len(labels))
		for k, label := range labels {
			for n, id := range label {
				req := request(nil, slices.Concat(query, item, label[:n]))
				req.Labels = []score.Label{{ID: id}}
				row[k] += run(t, scorer, req).Logprobs[0][0]
			}
		}
		all = append(all, row)
	}
	return all
}

// cutItems returns the numbers of the prompts that end at each position, each prompt
// alone, by item and position.
func cutItems(t *testing.T, scorer *score.Scorer, query []int64, items [][]int64, positions []int64, first bool) (all [][][]float64) {
	t.Helper()
	for _, item := range items {
		var numbers [][]float64
		for _, p := range positions {
			if p < 0 {
				p += int64(len(item))
			}
			prompt := item[:p+1]
			if !first {
				prompt = append(slices.Clone(query), prompt...)
			}
			numbers = append(numbers, logprobs(t, scorer, nil, prompt)[0])
		}
		all = append(all, numbers)
	}
	return all
}
