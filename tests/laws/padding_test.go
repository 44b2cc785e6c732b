package laws

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scored/model"
	"scored/score"
	"scored/target"
)

// workload is requests as one client sends them, one after the other; each has a query of its own.
type workload struct {
	name     string
	clients  int
	requests int // of all clients together
	make     func(random *rand.Rand) *score.Request
	// Loose bounds: of the share of padding in what is computed, and of the steps a request takes on average.
	padding, steps float64
}

// same is a workload of requests that are all alike.
func same(query, item, items int) func(random *rand.Rand) *score.Request {
	return func(random *rand.Rand) *score.Request {
		all := make([][]int64, items)
		for i := range all {
			all[i] = tokens(random.Int(), item)
		}
		return request(tokens(random.Int(), query), all...)
	}
}

// short has 2 to 8 items of 4 to 20 tokens after a query of 10 to 40.
func short(random *rand.Rand) *score.Request {
	items := make([][]int64, 2+random.IntN(7))
	for i := range items {
		items[i] = tokens(random.Int(), 4+random.IntN(17))
	}
	return request(tokens(random.Int(), 10+random.IntN(31)), items...)
}

// simulated is a device of the simulator: a row of target's table, and how it attends.
type simulated struct {
	target    string
	attention target.Attention
	workloads []workload
	buckets   []score.Bucket // nil: those of the target's ladder
}

func (d simulated) name() string {
	if d.buckets != nil {
		return d.target + " " + string(d.attention) + ", coarse"
	}
	return d.target + " " + string(d.attention)
}

// TestPaddingReport says how much of what Qwen3-0.6B's default buckets compute is padding, and how long requests take. A
// device is a clock: a step takes what its target's price says, so what queues up meanwhile is what would on a real one.
func TestPaddingReport(t *testing.T) {
	processors := []workload{
		{"W1: 300 tokens, 1 item", 1, 20, same(0, 300, 1), 0.10, 1},
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.15, 6},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.10, 33},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.10, 8},
		{"W3 scaled: 500 + 50 x 20", 1, 10, same(500, 20, 50), 0.10, 4},
		{"words: 200 + 100 x 3", 1, 10, same(200, 3, 100), 0.35, 6},
		{"short, 1 client", 1, 40, short, 0.50, 3},
		{"short, 3 clients", 3, 12, short, 0.50, 3},
		{"short, 16 clients", 16, 160, short, 0.50, 3},
	}
	kernels := []workload{
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.10, 0.3},
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.10, 1},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.10, 7},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.20, 2},
		{"words: 200 + 100 x 3", 1, 10, same(200, 3, 100), 0.35, 1},
		{"short, 1 client", 1, 40, short, 0.70, 1}, // a step of fewer tokens would take as long
		{"short, 16 clients", 16, 160, short, 0.30, 0.3},
		{"long: 30000 + 10 x 100", 1, 3, same(30_000, 100, 10), 0.10, 17},
	}
	native := []workload{ // rows padded to few lengths
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.45, 0.6},
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.15, 3},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.15, 8},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.30, 3},
		{"short, 16 clients", 16, 160, short, 0.80, 0.6}, // small steps wait for launches, and cost as much as larger ones
	}
	coarse := []workload{ // few shapes, as --buckets may give
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.20, 0.3},
	}
	for _, d := range []simulated{
		{"cpu-avx2", target.Native, processors, nil}, {"cpu-avx512", target.Native, processors, nil},
		{"v6e", target.Fused, kernels, nil}, {"h100", target.Fused, kernels, nil}, {"h100", target.Native, native, nil},
		{"h100", target.Fused, coarse, []score.Bucket{
			{Tokens: 256, Rows: 64, Length: 256}, {Tokens: 512, Rows: 128, Length: 512}, {Tokens: 2048, Rows: 512, Length: 2048},
			{Tokens: 2048, Rows: 512, Length: 2048, Prefix: 40_960}}},
	} {
		t.Run(d.name(), func(t *testing.T) {
			cfg := model.Qwen3_0_6B()
			buckets := priced(cfg, d.target, d.attention, cfg.MaxPositions)
			if row, _ := target.Named(d.target); d.buckets != nil {
				buckets = d.buckets
				cfg.Predict(buckets, row.Prices[d.attention], d.attention, row.Weights)
			}
			for _, w := range d.workloads {
				t.Run(w.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { w.report(t, cfg, buckets) })
				})
			}
		})
	}
}

func (w workload) report(t *testing.T, cfg model.Config, buckets []score.Bucket) {
	seen := &spans{}
	scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: cfg.MaxPositions, Observer: seen}, nil, newNullEngine(cfg, buckets))
	if err != nil {
		t.Fatal(err)
	}
	defer scorer.Close()
	var all sync.WaitGroup
	for client := range w.clients {
		random := rand.New(rand.NewPCG(uint64(client), 7))
		all.Go(func() {
			for range w.requests / w.clients {
				if _, err := scorer.Score(context.Background(), w.make(random)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()

	steps := seen.take()
	var used, room int
	var predicted time.Duration
	shapes := map[string]int{}
	for _, step := range steps {
		used += step.Tokens
		room += step.Bucket.Tokens
		predicted += step.Bucket.Cost
		shapes[fmt.Sprintf("%dx%dx%dx%d", step.Bucket.Tokens, step.Bucket.Rows, step.Bucket.Length, step.Bucket.Prefix)]++
	}
	padding, perRequest := 1-float64(used)/float64(room), float64(len(steps))/float64(w.requests)
	t.Logf("%.0f %% padding, %.2f steps, %.0f tokens and %.4g s a request; steps %v",
		100*padding, perRequest, float64(used)/float64(w.requests), predicted.Seconds()/float64(w.requests), shapes)
	if padding > w.padding || perRequest > w.steps {
		t.Errorf("%.0f %% padding in %.1f steps a request, want %.0f %% and %.1f at most", 100*padding, perRequest, 100*w.padding, w.steps)
	}
}
