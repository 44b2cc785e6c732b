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
		"bomb":      {"gzip", zip(t, io.LimitReader(zeros{}, 1<<24)), 413}, // 16 KiB of 16 MiB; a body may have one,
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

func (e *slowEngine) Run(step *score.Step) (score.Pending, error) {
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
	// The first request's rows were in the step under way; the second one's waited and were
	// dropped.
	for _, want := range []string{"scored_cancelled_requests_total 2", "scored_cancelled_items_total 2", `scored_rejected_requests_total{reason="deadline"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

// TestWithDeadline: the shortest limit holds, whoever gave it.
func TestWithDeadline(t *testing.T) {
	for _, c := range []struct {
		server      time.Duration
		ours, envoy string
		want        time.Duration // 0: none
	}{
		{0, "", "", 0},
		{time.Minute, "", "", time.Minute},
		{time.Minute, "2000", "", 2 * time.Second},
		{time.Minute, "", "2000", 2 * time.Second},
		{time.Minute, "90000", "70000", time.Minute},
		{0, "90000", "70000", 70 * time.Second},
		{0, "70000", "90000", 70 * time.Second},
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/score", nil)
		r.Header.Set("X-Request-Timeout-Ms", c.ours)
		r.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", c.envoy)
		before := time.Now()
		ctx, cancel, err := withDeadline(r, c.server)
		after := time.Now()
		if err != nil {
			t.Fatal(err)
		}
		deadline, ok := ctx.Deadline()
		if ok != (c.want > 0) || ok && (deadline.Before(before.Add(c.want)) || deadline.After(after.Add(c.want))) {
			t.Errorf("%+v: the deadline is %v, in %v", c, ok, deadline.Sub(before))
		}
		if cancel(); ctx.Err() == nil {
			t.Errorf("%+v: cancel does not end the context", c)
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

// TestClientGone: rows of a client that has left are dropped, and the log and metrics say
// why.
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

// TestBodiesThatDoNotArrive: 408 and 504 are for bodies that are late, which a client may
// send again. One that is cut short, or whose chunks are malformed, is 400: it will not
// get better. The connection ends with the answer.
func TestBodiesThatDoNotArrive(t *testing.T) {
	const chunked, long = "Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 1000\r\n\r\n"
	for name, c := range map[string]struct {
		rest   string // of the request, after its first headers
		hangUp bool   // the client closes its half
		body   time.Duration
		status string
	}{
		"late":                   {long + "{", false, 50 * time.Millisecond, "408"},
		"late chunk":             {chunked + "5\r\n{", false, 50 * time.Millisecond, "408"},
		"own deadline":           {"X-Request-Timeout-Ms: 50\r\n" + long + "{", false, time.Hour, "504"},
		"own deadline, no limit": {"X-Request-Timeout-Ms: 50\r\n" + long + "{", false, 0, "504"},
		"deadline after limit":   {"X-Request-Timeout-Ms: 60000\r\n" + long + "{", false, 50 * time.Millisecond, "408"},
		"deadline in chunks":     {"X-Envoy-Expected-Rq-Timeout-Ms: 50\r\n" + chunked + "5\r\n{", false, time.Hour, "504"},
		"cut short":              {long + "{", true, time.Hour, "400"},
		"nothing sent":           {long, true, time.Hour, "400"},
		"cut in a chunk":         {chunked + "5\r\n{", true, time.Hour, "400"},
		"cut between chunks":     {chunked + "2\r\n{}\r\n", true, time.Hour, "400"},
		"cut after last chunk":   {chunked + "2\r\n{}\r\n0\r\n", true, time.Hour, "400"},
		"no size":                {chunked + "x\r\n{}\r\n0\r\n\r\n", false, time.Hour, "400"},
		"wrong size":             {chunked + "1\r\n{}\r\n0\r\n\r\n", false, time.Hour, "400"},
		"huge size":              {chunked + "fffffffffffffffff\r\n{}\r\n0\r\n\r\n", false, time.Hour, "400"},
		"gzip cut short": {"Content-Encoding: gzip\r\n" + chunked + "a\r\n" + zip(t, strings.NewReader("{}"))[:10] + "\r\n0\r\n\r\n",
			true, time.Hour, "400"},
		"too large in chunks": {chunked + "100001\r\n" + strings.Repeat(" ", 1<<20+1), false, time.Hour, "413"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(newTestServer(t, func(cfg *Config, _ *Model) { cfg.BodyTimeout = c.body }))
			defer web.Close()
			for _, path := range []string{"/v1/score", "/v1/rerank"} {
				request := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n" + c.rest
				if answer := exchangeRaw(t, web.Listener.Addr().String(), request, c.hangUp); !strings.HasPrefix(answer, "HTTP/1.1 "+c.status+" ") {
					t.Errorf("%s: answer %.300q, want %s", path, answer, c.status)
				}
			}
		})
	}
}

// exchangeRaw sends bytes and reads until the server closes.
func exchangeRaw(t *testing.T, address, request string, hangUp bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if hangUp {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}
