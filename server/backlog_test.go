package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"scored/score"
	"scored/score/scoretest"
)

// TestRetryAfter: a client is told when there is room for its request, in whole seconds.
func TestRetryAfter(t *testing.T) {
	for retry, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", 3 * time.Second: "3", 3001 * time.Millisecond: "4"} {
		s := newTestServer(t, nil)
		w := send(errorHandler{s, &score.Error{Kind: score.Overloaded, Message: "queue is full", Retry: retry}}, http.MethodGet, "/", "")
		if got := w.Header().Get("Retry-After"); got != want || w.Code != http.StatusServiceUnavailable {
			t.Errorf("%v: %d, Retry-After %q, want %q", retry, w.Code, got, want)
		}
	}
}

type errorHandler struct {
	server *Server
	err    error
}

func (h errorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.server.errors.write(w, r, h.err)
}

// TestBacklogMetric: a step that runs is in it, and requests beyond the bound are refused
// in the words of the server.
func TestBacklogMetric(t *testing.T) {
	metrics := NewMetrics("test")
	bucket := score.Bucket{Tokens: 4096, Rows: 64, Length: 4096, Cost: 10 * time.Second}
	engine := &scoretest.Fake{Shapes: []score.Bucket{bucket}, CacheSize: scoretest.ManyPages, Free: make(chan struct{})}
	scorer, err := score.New(score.Config{Vocab: 1000, ContextLength: testContext, MaxBacklog: 25 * time.Second, Observer: metrics}, nil, engine)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, func(c *Config, m *Model) { c.Metrics, m.Scorer = metrics, scorer })
	body := `{"model": "m", "query": [1], "items": [[2]], "label_token_ids": [3]}`
	done := make(chan int, 1)
	go func() { done <- send(s, http.MethodPost, "/v1/score", body).Code }()
	for scorer.Load().RunningRows < 1 {
		time.Sleep(time.Millisecond)
	}
	text := send(metrics, http.MethodGet, "/metrics", "").Body.String()
	if !strings.Contains(text, "\nscored_backlog_seconds{device=\"0\"} 9.") {
		t.Errorf("the metrics do not have the ten seconds of a step that has just begun:\n%s", text)
	}
	large := `{"model": "m", "query": [1], "items": [` + strings.Repeat("[2],", 127) + `[2]], "label_token_ids": [3]}`
	w := send(s, http.MethodPost, "/v1/score", large)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "queue is full (") || len(w.Header().Get("Retry-After")) == 0 {
		t.Errorf("a request that is late gets %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := send(s, http.MethodPost, "/v1/score", strings.Replace(large, "[2],", strings.Repeat("[2],", 128), 1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a request that is late by itself gets %d: %s", w.Code, w.Body)
	}
	close(engine.Free)
	if code := <-done; code != http.StatusOK {
		t.Errorf("an admitted request gets %d", code)
	}
}
