package server

import (
	"net/http"
	"sync"
	"testing"
)

func TestClientLimit(t *testing.T) {
	s, engine := newSlowServer(t, func(c *Config) { c.MaxClientRequests = 2 })
	var inHand sync.WaitGroup
	for range 2 {
		inHand.Go(func() {
			if w := send(s, "POST", "/v1/score", fields(two), "X-Client-Id", "a"); w.Code != http.StatusOK {
				t.Errorf("a request within the limit gets %d", w.Code)
			}
		})
	}
	<-engine.began // one runs, and the other is in hand before long
	for s.model.Load().Scorer.Load().Requests < 2 {
	}
	w := send(s, "POST", "/v1/score", fields(two), "X-Client-Id", "a")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("a third request gets %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := send(s, "GET", "/health", "", "X-Client-Id", "a"); w.Code != http.StatusOK {
		t.Errorf("a probe gets %d", w.Code)
	}
	inHand.Go(func() {
		if w := send(s, "POST", "/v1/score", fields(two), "X-Client-Id", "b"); w.Code != http.StatusOK {
			t.Errorf("another client gets %d", w.Code)
		}
	})
	close(engine.release)
	inHand.Wait()
	if w := send(s, "POST", "/v1/score", fields(two), "X-Client-Id", "a"); w.Code != http.StatusOK || len(s.scoring.clients.inHand) != 0 {
		t.Errorf("afterwards: %d, %v in hand", w.Code, s.scoring.clients.inHand)
	}
}
