package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"scored/score"
)

func zip(t *testing.T, body io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestContentEncoding(t *testing.T) {
	s := newTestServer(t, nil)
	body := base + `,"label_token_ids":[1]}`
	zipped := zip(t, strings.NewReader(body))
	for name, c := range map[string]struct {
		encoding, body string
		status         int
	}{
		"none":      {"", body, 200},
		"identity":  {"identity", body, 200},
		"gzip":      {"gzip", zipped, 200},
		"upper":     {"GZIP", zipped, 200},
		"bomb":      {"gzip", zip(t, io.LimitReader(zeros{}, 1<<28)), 413},
		"not gzip":  {"gzip", body, 400},
		"cut short": {"gzip", zipped[:len(zipped)-9], 400},
		"damaged":   {"gzip", zipped[:len(zipped)-6] + "damage", 400},
		"brotli":    {"br", body, 415},
		"twice":     {"gzip, gzip", zipped, 415},
	} {
		if w := send(s, "POST", "/v1/score", c.body, "Content-Encoding", c.encoding); w.Code != c.status {
			t.Errorf("%s: status %d, want %d: %.200s", name, w.Code, c.status, w.Body)
		}
	}
}

// slowEngine takes its time, or waits until the test lets it go.
type slowEngine struct {
	fakeEngine
	began, release chan struct{}
}

func (e *slowEngine) Run(step *score.Step) ([][]float32, error) {
	e.began <- struct{}{}
	<-e.release
	return e.fakeEngine.Run(step)
}

func newSlowServer(t *testing.T, change func(*Config)) (*Server, *slowEngine) {
	engine := &slowEngine{began: make(chan struct{}, 100), release: make(chan struct{})}
	return newTestServer(t, func(c *Config, m *Model) {
		if change != nil {
			change(c)
		}
		var observer score.Observer
		if c.Metrics != nil {
			observer = c.Metrics
		}
		m.Scorer = newTestScorer(t, engine, observer)
	}), engine
}

func TestDeadline(t *testing.T) {
	s, engine := newSlowServer(t, func(c *Config) { c.Metrics = NewMetrics("test") })
	defer close(engine.release)
	for _, header := range []string{"X-Request-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms"} {
		w := send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`, header, "20")
		if w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "request ended before its rows were scored") {
			t.Errorf("%s: status %d: %s", header, w.Code, w.Body)
		}
	}
	for _, text := range []string{"0", "-5", "soon", "1e3", "99999999999999"} {
		if w := send(s, "POST", "/v1/score", base+`}`, "X-Request-Timeout-Ms", text); w.Code != http.StatusBadRequest {
			t.Errorf("timeout %q gives %d, want 400", text, w.Code)
		}
	}
	metrics := send(s, "GET", "/metrics", "").Body.String()
	// The first request's rows were in the step under way; the second one's waited and were dropped.
	for _, want := range []string{"scored_cancelled_requests_total 2", "scored_cancelled_items_total 2", `scored_rejected_requests_total{reason="deadline"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestServerTimeout(t *testing.T) {
	s, engine := newSlowServer(t, func(c *Config) { c.RequestTimeout = 20 * time.Millisecond })
	defer close(engine.release)
	if w := send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`, "X-Request-Timeout-Ms", "60000"); w.Code != http.StatusGatewayTimeout {
		t.Errorf("status %d, want the server's own limit to hold: 504", w.Code)
	}
}

// TestClientGone: rows of a client that has left are dropped, and the log and metrics say why.
func TestClientGone(t *testing.T) {
	s, engine := newSlowServer(t, func(c *Config) { c.Metrics = NewMetrics("test") })
	defer close(engine.release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-engine.began; cancel() }()
	r := httptest.NewRequest("POST", "/v1/score", strings.NewReader(base+`,"label_token_ids":[1]}`)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(httptest.NewRecorder(), r)
	if metrics := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, `scored_requests_total{code="499"} 1`) {
		t.Errorf("metrics do not count the client that left:\n%s", metrics)
	}
}

// TestSlowBody: a body that does not arrive in time gets 408 and the connection is closed; a large answer time does not count.
func TestSlowBody(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.BodyTimeout = 50 * time.Millisecond })
	web := httptest.NewServer(s)
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // to the end: the server closes
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("answer %q, error %v; want 408 and an end", answer, err)
	}
}
