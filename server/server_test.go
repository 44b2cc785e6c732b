package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.APIKey = "secret" })
	for header, want := range map[string]int{"": 401, "Bearer secre": 401, "bearer secret": 401, "Bearer secret": 200} {
		r := httptest.NewRequest("GET", "/v1/models", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Authorization %q gives %d, want %d", header, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
	if w.Code != http.StatusOK {
		t.Errorf("/health without a key gives %d, want 200", w.Code)
	}
}

func TestBeforeTheModelIsReady(t *testing.T) {
	s := New(Config{MaxBody: 100, Logger: slog.New(slog.DiscardHandler)})
	for path, want := range map[string]int{"GET /livez": 200, "GET /get_model_info": 200, "GET /health": 503, "GET /ping": 503, "POST /v1/score": 503, "GET /v1/models": 503,
		"GET /get_server_info": 503, "POST /start_profile": 503, "POST /flush_cache": 503} {
		method, path, _ := strings.Cut(path, " ")
		w := send(s, method, path, "{}")
		if w.Code != want {
			t.Errorf("%s while loading gives %d, want %d", path, w.Code, want)
		}
		if method == "POST" && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s while loading does not say when to come again", path)
		}
	}
}

func TestLargeBody(t *testing.T) {
	s := newTestServer(t, nil)
	for _, announced := range []bool{true, false} {
		r := httptest.NewRequest("POST", "/v1/score", io.LimitReader(zeros{}, 1<<21))
		r.ContentLength = -1
		if announced {
			r.ContentLength = 1 << 21
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("2 MiB body (length announced: %t) gives %d, want 413", announced, w.Code)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzScore: no body gives a 5xx, and the same body gives the same answer twice.
func FuzzScore(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"model":"m","query":"a","items":["b"],"label_token_ids":[1]}`, `[1e400,NaN,"\ud800"]`,
		`{"model":"m","query":[1],"items":[[2]],"label_token_ids":["1_0",true,1.0],"apply_softmax":"on"}`, `{"a":1,}`,
		`{"model":"m","query":[1],"items":[[2,3]],"label_token_ids":[1],"score_positions":[0,"-1"],"return_logprobs":1,"partial":1}`,
		`{"model":"m","query":"q","items":["a","b"],"labels":["yes","yet","no"],"label_mode":"sequence","normalize":1,"usage":1}`,
		`{"model":"m","query":[1],"items":[[2]],"label_tokens":[[1,2],["3"],[1]],"label_mode":"sequence","truncate":1}`, "\xff\xfe{\x00}\x00"} {
		f.Add([]byte(seed))
	}
	s := newTestServer(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		var first string
		for n := range 2 {
			r := httptest.NewRequest("POST", "/v1/score", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if n == 1 && w.Body.String() != first {
				t.Fatalf("answers differ: %s and %s", first, w.Body)
			}
			first = w.Body.String()
		}
	})
}

// TestErrorsTellTheirTime once their body has arrived.
func TestErrorsTellTheirTime(t *testing.T) {
	s := newTestServer(t, nil)
	w := send(s, "POST", "/v1/score", base+`}`)
	if got := w.Header().Get("Server-Timing"); w.Code != http.StatusBadRequest || !regexp.MustCompile(`^read;dur=\d+\.\d{3}, rest;dur=\d+\.\d{3}$`).MatchString(got) {
		t.Errorf("status %d has the times %q", w.Code, got)
	}
	w = send(s, "POST", "/v1/score", strings.Repeat(" ", 2<<20))
	if got := w.Header().Get("Server-Timing"); w.Code != http.StatusRequestEntityTooLarge || got != "" {
		t.Errorf("a body that is not read has the times %q", got)
	}
}
