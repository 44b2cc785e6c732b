package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestPanics: a handler that panics costs its own request alone, and the log has the
// stack. An answer that has begun stays as it is.
func TestPanics(t *testing.T) {
	for name, c := range map[string]struct {
		begin  func(http.ResponseWriter)
		status int
		body   string
	}{
		"before the answer": {func(http.ResponseWriter) {}, http.StatusInternalServerError, "Internal Server Error"},
		"in the answer":     {func(w http.ResponseWriter) { writePlain(w, http.StatusOK, "begun") }, http.StatusOK, "begun"},
	} {
		var panics, lines bytes.Buffer
		access := accessLog{panics: slog.New(slog.NewTextHandler(&panics, nil)), log: slog.New(slog.NewTextHandler(&lines, nil))}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
		r.Header.Set("X-Request-Id", "7")
		func() {
			answer := &recorder{ResponseWriter: w}
			defer access.end(answer, r, time.Now())
			c.begin(answer)
			panic("no such thing")
		}()
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Body, c.status, c.body)
		}
		if got := panics.String(); !strings.Contains(got, "no such thing") || !strings.Contains(got, "TestPanics") || !strings.Contains(got, "request=7") {
			t.Errorf("%s: the log of panics is %.300q", name, got)
		}
		if got := lines.String(); !strings.Contains(got, "path=/v1/models") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: the access log is %q", name, got)
		}
	}
}

// TestClientOf: a key's name counts more than the header, and the header more than the
// address; none can be taken for another.
func TestClientOf(t *testing.T) {
	ask := func(by caller, id, address string) string {
		r := httptest.NewRequest(http.MethodPost, "/v1/score", nil)
		r.RemoteAddr = address
		if id != "" {
			r.Header.Set("X-Client-Id", id)
		}
		return clientOf(by.with(r))
	}
	named := caller{name: "team"}
	if ask(named, "a", "1.2.3.4:5") != ask(named, "b", "1.2.3.4:6") {
		t.Error("one key is two clients")
	}
	if ask(named, "", "1.2.3.4:5") == ask(caller{}, "team", "1.2.3.4:5") {
		t.Error("a header passes for a key")
	}
	if ask(caller{}, "", "1.2.3.4:5") != ask(caller{}, "", "1.2.3.4:6") {
		t.Error("one address is two clients")
	}
	if ask(caller{}, "", "1.2.3.4:5") == ask(caller{}, "", "1.2.3.5:5") || ask(caller{}, "", "@") == "" {
		t.Error("two addresses are one client, or a socket without one is none")
	}
}
