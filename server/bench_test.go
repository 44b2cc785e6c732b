package server

import (
	"net/http"
	"strings"
	"testing"

	"scored/score"
)

// instantEngine answers at once; what is measured around it is the host's own work.
type instantEngine struct{ fakeEngine }

func (instantEngine) Run(step *score.Step) ([][]float32, error) {
	answers, numbers := make([][]float32, len(step.Rows)), make([]float32, len(step.Rows)*len(step.Rows[0].Labels))
	for i, row := range step.Rows {
		answers[i] = numbers[i*len(row.Labels) : (i+1)*len(row.Labels)]
	}
	return answers, nil
}

// BenchmarkHandler is the host's own time and allocations for a body of 10 text items, from the handler's first byte to
// its last, without tokenizer and model.
func BenchmarkHandler(b *testing.B) {
	s := newTestServer(b, func(_ *Config, m *Model) { m.Scorer = newTestScorer(b, instantEngine{}, nil) })
	items := strings.Repeat(`,"It broke after two days, and nobody answered when I wrote to them."`, 10)[1:]
	body := `{"model":"Qwen/Qwen3-0.6B","query":"Is the following text a positive review of a product? Answer yes or no. ","items":[` +
		items + `],"label_token_ids":[9454,2753],"apply_softmax":true}`
	b.ReportAllocs()
	for b.Loop() {
		if w := send(s, http.MethodPost, "/v1/score", body); w.Code != http.StatusOK {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/request")
}
