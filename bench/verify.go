package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Isolation is the result of scoring items alone and in their request. An item's score
// must not depend on the items beside it, but for rounding.
type Isolation struct {
	Items int     `json:"items"`           // compared
	Worst float64 `json:"worst"`           // largest difference of a score
	Error string  `json:"error,omitempty"` // of the first that failed or differed
}

// verify sends one request of each workload, and its first, middle and last item alone.
// It stops at the first error.
func (r *run) verify(ctx context.Context) *Isolation {
	result := &Isolation{}
	for _, share := range r.Mix {
		if err := r.isolate(ctx, share.Workload, result); err != nil {
			result.Error = fmt.Sprintf("workload %s: %v", share.Name, err)
			return result
		}
	}
	return result
}

// isolate compares one request of w with its items alone, and adds to the result.
func (r *run) isolate(ctx context.Context, w Workload, result *Isolation) error {
	whole := r.author().write(w)
	together, failed := r.client.score(ctx, r.client.body(whole), w.Items)
	if failed != nil {
		return fmt.Errorf("%s: %w", failed.kind, failed.err)
	}
	chosen := []int{0, w.Items / 2, w.Items - 1} // may be equal, and are in order then
	for _, i := range slices.Compact(chosen) {
		alone, failed := r.client.score(ctx,
			r.client.body(prompt{query: whole.query, items: whole.items[i : i+1]}), 1)
		if failed != nil {
			return fmt.Errorf("item %d alone: %s: %w", i, failed.kind, failed.err)
		}
		result.Items++
		for j, score := range alone.Scores[0] {
			difference := math.Abs(float64(score - together.Scores[i][j]))
			result.Worst = max(result.Worst, difference)
			if difference > r.Tolerance {
				return fmt.Errorf("item %d scores %v alone and %v among %d items, more than %v "+
					"apart", i, score, together.Scores[i][j], w.Items, r.Tolerance)
			}
		}
	}
	return nil
}
