package laws

import (
	"fmt"
	"slices"
	"testing"

	"scored/score"
)

// TestPositionsAreThoseOfCutItems: behind each position an item has the numbers that it has where it ends there, within the
// bound of two roundings: in steps of any one shape, which cut prompts into windows of any size, on a query that is computed
// or kept, beside other items and in another order, and with the query behind the items.
func TestPositionsAreThoseOfCutItems(t *testing.T) {
	plugin, near := openPlugin(t), nearness(t, tiny())
	engine := newEngine(t, plugin, tiny(), shapes(), 1<<30)
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

// cutItems are the numbers of the prompts up to each position, each alone, by item and position.
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
