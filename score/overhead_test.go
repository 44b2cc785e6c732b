package score

import (
	"strings"
	"testing"
)

// nullEngine computes nothing: what is left of a request's time is the host's.
type nullEngine struct {
	buckets []Bucket
	answers [][]float32
}

func (e *nullEngine) Buckets() []Bucket { return e.buckets }
func (e *nullEngine) Pages() int        { return 8 }

func (e *nullEngine) Run(step *Step) (Pending, error) {
	return finished{answers: e.answers[:len(step.Rows)]}, nil
}

// byteEncoder gives a token a byte, at next to no cost.
type byteEncoder struct{}

func (byteEncoder) Lead() int           { return 0 }
func (byteEncoder) Cut(string) int      { return 0 }
func (byteEncoder) CutFront(string) int { return 0 }
func (byteEncoder) Least(string) int    { return 0 }

func (byteEncoder) Encode(text string, _ bool) ([]int32, error) {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	return ids, nil
}

// itemsPerRequest is the size of request that the bounds below are given for.
const itemsPerRequest = 10

// overhead gives a Scorer that computes nothing and tokenizes in one goroutine, and a
// request of ten texts of 180 tokens after a query of 120.
func overhead(tb testing.TB) (*Scorer, *Request) {
	engine := &nullEngine{buckets: []Bucket{
		{Tokens: 512, Rows: 1, Length: 512, Cost: 520}, {Tokens: 2048, Rows: 16, Length: 256, Context: 512, Cost: 2100},
	}}
	for range 16 {
		engine.answers = append(engine.answers, []float32{-1, -2})
	}
	s, err := New(Config{Vocab: 1000, ContextLength: 512, Encoders: 1}, byteEncoder{}, engine)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	req := &Request{ID: "r", Query: Part{Text: strings.Repeat("q", 120)}, Labels: []Label{{ID: 7}, {ID: 900}}, Softmax: true}
	for i := range itemsPerRequest {
		req.Items = append(req.Items, Part{Text: string(rune('a'+i)) + strings.Repeat("i", 179)})
	}
	return s, req
}

// BenchmarkRequest is what the Scorer itself costs a request of ten items: check, join,
// plan, queue, form, finish.
func BenchmarkRequest(b *testing.B) {
	s, req := overhead(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Score(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequests is the same from several clients at once, whose rows fill common
// steps.
func BenchmarkRequests(b *testing.B) {
	s, req := overhead(b)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Score(b.Context(), req); err != nil {
				b.Error(err)
			}
		}
	})
}

// TestAllocations bounds what a request allocates. Garbage, unlike time, can be measured
// on a busy machine.
func TestAllocations(t *testing.T) {
	s, req := overhead(t)
	perRequest := testing.AllocsPerRun(200, func() {
		if _, err := s.Score(t.Context(), req); err != nil {
			t.Error(err)
		}
	})
	const perItem = 7 // two of them are the prompt, joined, and its tokens
	t.Logf("%.0f allocations per request of %d items", perRequest, itemsPerRequest)
	if perRequest/itemsPerRequest > perItem {
		t.Errorf("%.1f allocations per item, want at most %d", perRequest/itemsPerRequest, perItem)
	}
}
