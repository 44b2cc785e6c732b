package score

import (
	"math"
	"testing"
	"time"

	"scored/score/scoretest"
)

// fakeLogprob is what the fake engine answers.
func fakeLogprob(prompt []int32, label int32) float32 { return scoretest.Logprob(prompt, label) }

// testBuckets are so slow that no step is about to end: the next is formed early only if
// plenty waits.
func testBuckets() []Bucket {
	buckets := quickBuckets()
	for i := range buckets {
		buckets[i].Cost *= time.Hour
	}
	return buckets
}

// quickBuckets are so quick that every step is about to end: the next is always formed
// early.
func quickBuckets() []Bucket {
	return []Bucket{
		{Tokens: 16, Rows: 1, Length: 16, Cost: 17}, {Tokens: 64, Rows: 1, Length: 64, Cost: 65},
		{Tokens: 64, Rows: 8, Length: 16, Cost: 67},
		{Tokens: 64, Rows: 8, Length: 16, Context: 32, Cost: 70}, {Tokens: 32, Rows: 2, Length: 32, Context: 32, Cost: 36},
		{Tokens: 64, Rows: 16, Length: 8, Context: 256, Cost: 90}, {Tokens: 48, Rows: 4, Length: 24, Context: 256, Cost: 80},
	}
}

func newTestScorer(t *testing.T, engine *scoretest.Fake, cfg Config) *Scorer {
	t.Helper()
	if engine.Shapes == nil {
		engine.Shapes = testBuckets()
	}
	if engine.CacheSize == 0 {
		engine.CacheSize = 4
	}
	cfg.Vocab = 1000
	if cfg.ContextLength == 0 {
		cfg.ContextLength = 256
	}
	s, err := New(cfg, nil, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func ids(from, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64((from*131 + i*17 + i*i) % 1000)
	}
	return out
}

func tokenRequest(query []int64, items ...[]int64) *Request {
	req := &Request{ID: "r", Query: Part{IsTokens: true, Tokens: query}, Labels: []Label{{ID: 7}, {ID: 900}}}
	for _, item := range items {
		req.Items = append(req.Items, Part{IsTokens: true, Tokens: item})
	}
	return req
}

// wantScores checks a result against what each prompt alone must give.
func wantScores(t *testing.T, req *Request, result *Result) {
	t.Helper()
	if len(result.Scores) != len(req.Items) {
		t.Fatalf("%d rows of scores for %d items", len(result.Scores), len(req.Items))
	}
	for i, item := range req.Items {
		first, second := order(req, req.Query.Tokens, item.Tokens)
		prompt := narrow(len(first)+len(second), first, second)
		for k, label := range req.Labels {
			want := math.Exp(float64(fakeLogprob(prompt, int32(label.ID))))
			if got := result.Scores[i][k]; got != want {
				t.Errorf("item %d label %d scores %v, want %v", i, k, got, want)
			}
		}
	}
}

// observerFunc is an Observer made of a function.
type observerFunc func(Span)

func (f observerFunc) Observe(span Span) { f(span) }
