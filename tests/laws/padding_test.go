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
	"scored/model/checkpoint"
	"scored/score"
	"scored/target"
)

// workload is the requests that one client sends, one after the other; each has a query
// of its own.
type workload struct {
	name     string
	clients  int
	requests int // of all clients together
	make     func(random *rand.Rand) *score.Request
	// Loose bounds: of the share of padding in what is computed, and of the steps a
	// request takes on average.
	padding, steps float64
}

// same returns a workload of requests that are all alike.
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

// common has items after a query whose first tokens are the same in all requests, like a
// template or a policy.
func common(same, query, item, items int) func(random *rand.Rand) *score.Request {
	return func(random *rand.Rand) *score.Request {
		all := make([][]int64, items)
		for i := range all {
			all[i] = tokens(random.Int(), item)
		}
		return request(append(tokens(1, same), tokens(random.Int(), query)...), all...)
	}
}

// simulated is a device of the simulator: a row of target's table and a way to attend.
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

// TestPaddingReport logs the share of padding in the tokens that Qwen3-0.6B's default
// buckets compute, and the time of requests. A device is a clock: a step takes the time
// of its target's price, so requests queue up as they would on a real device.
func TestPaddingReport(t *testing.T) {
	// Several clients with a query of their own each; their loose bounds are those of the
	// first row of a device.
	shared := func(padding, s1, s2, s3, s4 float64) []workload {
		return []workload{
			{"S1: 200 + 5 x 30, 16 clients", 16, 320, same(200, 30, 5), padding, s1},
			{"S2: 90 of all + 30 + 20 x 150, 8 clients", 8, 80, common(90, 30, 150, 20), padding, s2},
			{"S3: 120 + 10 x 180, 64 clients", 64, 256, same(120, 180, 10), padding, s3},
			{"S4: 600 of all + 60, 32 clients", 32, 640, common(600, 0, 60, 1), max(padding, 0.35), s4},
		}
	}
	processors := append([]workload{
		{"W1: 300 tokens, 1 item", 1, 20, same(0, 300, 1), 0.10, 1},
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.15, 6},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.10, 45},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.10, 12},
		{"W3 scaled: 500 + 50 x 20", 1, 10, same(500, 20, 50), 0.10, 6},
		{"words: 200 + 100 x 3", 1, 10, same(200, 3, 100), 0.35, 6},
		{"short, 1 client", 1, 40, short, 0.50, 3},
		{"short, 3 clients", 3, 12, short, 0.50, 3},
		{"short, 16 clients", 16, 160, short, 0.30, 1},
	}, shared(0.20, 2.5, 9, 8, 0.5)...)
	kernels := append([]workload{
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.15, 0.35}, // steps of 4,096 tokens leave three of 16 for small ones
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.10, 1},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.10, 7},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.20, 2},
		{"words: 200 + 100 x 3", 1, 10, same(200, 3, 100), 0.35, 1},
		{"short, 1 client", 1, 40, short, 0.70, 1}, // a step of fewer tokens would take as long
		{"short, 16 clients", 16, 160, short, 0.30, 0.3},
		{"long: 30000 + 10 x 100", 1, 3, same(30_000, 100, 10), 0.10, 17},
	}, shared(0.15, 0.3, 2.1, 1.1, 0.15)...)
	native := append([]workload{ // rows padded to few lengths
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.45, 0.6},
		{"W2: 120 + 10 x 180", 1, 20, same(120, 180, 10), 0.15, 3},
		{"W3: 2000 + 500 x 20", 1, 10, same(2000, 20, 500), 0.15, 8},
		{"W4: 1000 + 80 x 26, 2 clients", 2, 20, same(1000, 26, 80), 0.30, 3},
		{"short, 16 clients", 16, 160, short, 0.80, 0.6}, // small steps wait for launches, and cost as much as larger ones
	}, shared(0.70, 1, 3, 3, 0.6)...)
	coarse := []workload{ // few shapes, as --buckets may give
		{"W1: 300 tokens, 1 item, 16 clients", 16, 160, same(0, 300, 1), 0.20, 0.35},
	}
	for _, d := range []simulated{
		{"cpu-avx2", target.Native, processors, nil}, {"cpu-avx512", target.Native, processors, nil},
		{"v6e", target.Fused, kernels, nil}, {"h100", target.Fused, kernels, nil}, {"h100", target.Native, native, nil},
		{"h100", target.Fused, coarse, []score.Bucket{
			{Tokens: 256, Rows: 64, Length: 256}, {Tokens: 512, Rows: 128, Length: 512}, {Tokens: 2048, Rows: 512, Length: 2048},
			{Tokens: 2048, Rows: 512, Length: 2048, Context: 40_960}}},
	} {
		t.Run(d.name(), func(t *testing.T) {
			cfg := checkpoint.Qwen3_0_6B()
			row, _ := target.Named(d.target)
			buckets := priced(cfg, d.target, d.attention, cfg.MaxPositions)
			if d.buckets != nil {
				buckets = d.buckets
				model.Costs{Config: cfg, Attention: d.attention, Weights: row.Weights}.Predict(buckets, row, row.Prices[d.attention])
			}
			for _, w := range d.workloads {
				t.Run(w.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { w.report(t, cfg, buckets, row, d.attention) })
				})
			}
		})
	}
}

func (w workload) report(t *testing.T, cfg checkpoint.Config, buckets []score.Bucket, on target.Target, attention target.Attention) {
	seen := &spans{}
	device := &nullEngine{buckets: buckets, pages: cachePages, queues: on.Async}
	scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: cfg.MaxPositions, Observer: seen}, nil, device)
	if err != nil {
		t.Fatal(err)
	}
	defer scorer.Close()
	var all sync.WaitGroup
	items, begun := 0, time.Now()
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
	took := time.Since(begun)
	items = w.requests * len(w.make(rand.New(rand.NewPCG(1, 1))).Items)

	costs := model.Costs{Config: cfg, Attention: attention, Weights: on.Weights}
	steps := seen.take()
	var used, room int
	var predicted, useful float64
	shapes := map[string]int{}
	for _, step := range steps {
		used += step.Tokens
		room += step.Bucket.Tokens
		predicted += step.Predicted.Seconds()
		useful += float64(step.Tokens) * costs.Work(step.Bucket, 0).TokenFlops / on.Prices[attention].Flops
		shapes[fmt.Sprintf("%dx%dx%dx%d", step.Bucket.Tokens, step.Bucket.Rows, step.Bucket.Length, step.Bucket.Context)]++
	}
	padding, perRequest := 1-float64(used)/float64(room), float64(len(steps))/float64(w.requests)
	t.Logf("%.4g items/s, %.0f %% padding, %.0f %% real tokens' linear layers, %.2f steps, %.0f tokens and %.4g s a request; steps %v",
		float64(items)/took.Seconds(), 100*padding, 100*useful/predicted, perRequest,
		float64(used)/float64(w.requests), predicted/float64(w.requests), shapes)
	if padding > w.padding || perRequest > w.steps {
		t.Errorf("%.0f %% padding in %.1f steps a request, want %.0f %% and %.1f at most", 100*padding, perRequest, 100*w.padding, w.steps)
	}
}

// cachePages is the size of a simulated device's cache: the longest prompt of the model,
// and some more.
const cachePages = 400
