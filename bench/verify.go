package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
)

// Verify sends one request of each workload, then some of its items alone, and wants the same scores within tolerance: a
// server must not let items change each other's.
func Verify(ctx context.Context, o Options, items int, tolerance float64) error {
	c := &client{http: &http.Client{Timeout: o.Timeout}, url: o.URL, key: o.APIKey}
	for i, share := range o.Mix {
		r := o.Prompts.request(share.Workload, uint64(i), o.Seed, rand.New(rand.NewPCG(o.Seed, uint64(i))))
		r.Model, r.Labels, r.Softmax = o.Model, o.Labels, true
		all, err := c.score(ctx, r)
		if err != nil {
			return err
		}
		for k := 0; k < r.size(); k += max(r.size()/items, 1) {
			one := r
			if texts, ok := r.Items.([]string); ok {
				one.Items = texts[k : k+1]
			} else {
				one.Items = r.Items.([][]int)[k : k+1]
			}
			alone, err := c.score(ctx, one)
			if err != nil {
				return err
			}
			for j, want := range alone.Scores[0] {
				if got := all.Scores[k][j]; !(math.Abs(got-want) <= tolerance) {
					return fmt.Errorf("%w: workload %s, item %d, label %d scores %v among others and %v alone", errWrong, share.Workload.Name, k, j, got, want)
				}
			}
		}
	}
	return nil
}
