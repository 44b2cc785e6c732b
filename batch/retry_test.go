package batch

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRemote: a server that is full or gone for a while costs no line, and one that stays
// so ends the run.
func TestRemote(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		switch n := calls.Add(1); {
		case r.URL.Path == "/full":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/final":
			w.Header().Set("X-Should-Retry", "false")
			w.WriteHeader(http.StatusGatewayTimeout)
		case r.Header.Get("Authorization") != "Bearer key":
			w.WriteHeader(http.StatusUnauthorized)
		case n%3 == 1:
			panic(http.ErrAbortHandler) // the connection goes
		case n%3 == 2:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	defer server.Close()
	remote := NewRemote(server.URL+"/", "key", 2, time.Minute)
	defer remote.CloseIdle()
	p := &Patient{Scorer: remote, Tries: 3, Pause: time.Millisecond}
	ask := func(path string) (*Answer, error) {
		return p.Score(t.Context(), &Request{ID: "batch_req_1", Method: "POST", Path: path, Body: []byte("{}")})
	}
	for range 4 {
		if a, err := ask("/v1/score"); err != nil || a.Status != 200 || a.RequestID != "batch_req_1" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if a, err := ask("/final"); err != nil || a.Status != http.StatusGatewayTimeout {
		t.Errorf("a final refusal gives %+v, %v", a, err)
	}
	if _, err := ask("/full"); !errors.Is(err, ErrStop) || !strings.Contains(err.Error(), "no answer after 3 tries") {
		t.Errorf("a server that is full gives %v", err)
	}
	p.Scorer = NewRemote(server.URL, "wrong", 2, time.Minute)
	if _, err := ask("/v1/score"); !errors.Is(err, ErrStop) || !strings.Contains(err.Error(), "--api-key") {
		t.Errorf("a wrong key gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Score(ctx, &Request{Method: "POST", Path: "/full"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that is stopped gives %v", err)
	}
}
