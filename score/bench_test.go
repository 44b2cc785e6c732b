package score

import (
	"context"
	"testing"
)

// instantEngine answers at once; what is measured around it is the Scorer's own work.
type instantEngine struct{}

func (instantEngine) Buckets() []Bucket {
	return []Bucket{{Tokens: 1024, Rows: 32, Length: 1024, Cost: 1}, {Tokens: 1024, Rows: 32, Length: 256, Prefix: 2048, Cost: 1.1}}
}
func (instantEngine) Match([]int32) (*Prefix, int) { return nil, 0 }
func (instantEngine) Flush() int                   { return 0 }
func (instantEngine) Run(step *Step) ([][]float32, error) {
	answers, numbers := make([][]float32, len(step.Rows)), make([]float32, len(step.Rows)*len(step.Rows[0].Labels))
	for i, row := range step.Rows {
		answers[i] = numbers[i*len(row.Labels) : (i+1)*len(row.Labels)]
	}
	return answers, nil
}

// bytesEncoder makes a token of every four bytes, about as many as a tokenizer does.
type bytesEncoder struct{}

func (bytesEncoder) Cut(string) int { return 0 }

func (bytesEncoder) Encode(text string, _ bool) ([]int32, error) {
	ids := make([]int32, 0, len(text)/4+1)
	for i := 0; i < len(text); i += 4 {
		ids = append(ids, int32(text[i]))
	}
	return ids, nil
}

// BenchmarkScore is the Scorer's own time and allocations for a request of 10 text items: plan, queue, step and finish,
// without tokenizer and model.
func BenchmarkScore(b *testing.B) {
	s, err := New(Config{Vocab: 1000, ContextLength: 1024, Encoders: 1}, bytesEncoder{}, instantEngine{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	req := &Request{ID: "r", Query: Part{Text: "Is the following text a positive review of a product? Answer yes or no. "}, Softmax: true,
		Labels: []Label{{ID: 7}, {ID: 900}}}
	for i := range 10 {
		req.Items = append(req.Items, Part{Text: "It broke after " + string(rune('a'+i)) + " days, and nobody answered when I wrote to them."})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Score(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/request")
}
