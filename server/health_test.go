package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"scored/score"
)

// lostEngine is on a device that is lost.
type lostEngine struct{ fakeEngine }

func (lostEngine) Run(*score.Step) (score.Pending, error) {
	return nil, fmt.Errorf("%w: driver's secret", score.ErrLost)
}

// TestLostDevice: the request in hand is told to go elsewhere, and every probe is red
// from then on.
func TestLostDevice(t *testing.T) {
	s := newTestServer(t, func(_ *Config, m *Model) { m.Scorer = newTestScorer(t, lostEngine{}, nil) })
	for _, path := range []string{"/livez", "/health", "/readyz"} {
		if w := send(s, "GET", path, ""); w.Code != http.StatusOK {
			t.Errorf("%s before: status %d", path, w.Code)
		}
	}
	for range 2 {
		w := send(s, "POST", "/v1/score", `{"model":"m","query":"q","items":["a"],"label_token_ids":[1]}`)
		if body := w.Body.String(); w.Code != http.StatusServiceUnavailable || !strings.Contains(body, "another replica") || strings.Contains(body, "secret") {
			t.Errorf("status %d, body %s", w.Code, body)
		}
	}
	for _, path := range []string{"/livez", "/health", "/readyz", "/health_generate"} {
		if w := send(s, "GET", path, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s after: status %d, want 503", path, w.Code)
		}
	}
}

// TestEngineInfo: the metric tells what runs.
func TestEngineInfo(t *testing.T) {
	m := NewMetrics("test")
	m.Engine("cpu", "native")
	s := newTestServer(t, func(c *Config, _ *Model) { c.Metrics = m })
	if text := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(text, `scored_engine_info{attention_backend="native",device="cpu"} 1`) {
		t.Errorf("metrics do not tell what runs:\n%s", text)
	}
}
