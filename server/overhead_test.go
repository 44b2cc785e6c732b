package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"scored/score"
	"scored/score/scoretest"
)

// nullEngine computes nothing: what is left of a request's time is the host's.
type nullEngine struct{ fakeEngine }

func (nullEngine) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i := range answers {
		answers[i] = []float32{-1, -2}
	}
	return scoretest.Done(answers), nil
}

// BenchmarkScore is what a request of ten texts of 180 bytes after a query of 120 costs
// from its headers to its answer, without a network, a tokenizer or a device: JSON both
// ways, checks, spans, metrics and the Scorer.
func BenchmarkScore(b *testing.B) {
	s := newTestServer(b, func(c *Config, m *Model) {
		c.Metrics = NewMetrics("test")
		m.Scorer = newTestScorer(b, nullEngine{}, c.Metrics)
	})
	items := make([]string, 10)
	for i := range items {
		items[i] = string(rune('a'+i)) + strings.Repeat("i", 179)
	}
	body, err := json.Marshal(map[string]any{"model": "Qwen/Qwen3-0.6B", "query": strings.Repeat("q", 120), "items": items,
		"label_token_ids": []int{7, 900}, "apply_softmax": true})
	if err != nil {
		b.Fatal(err)
	}
	text := string(body)
	b.ReportAllocs()
	for b.Loop() {
		if w := send(s, http.MethodPost, "/v1/score", text); w.Code != http.StatusOK {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
}
