package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"scored/score"
)

func TestFlush(t *testing.T) {
	s, engine := newSlowServer(t, nil)
	const begin = "Cache flushed.\nPlease check backend logs for more details. (When there are running or waiting requests, the operation will not be performed.)\n"
	if w := send(s, "GET", "/flush_cache", ""); w.Code != http.StatusOK || w.Body.String() != begin {
		t.Errorf("idle: %d %q", w.Code, w.Body)
	}
	done := make(chan int)
	go func() { done <- send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`).Code }()
	<-engine.began
	recorded := "Reason: Cache not flushed because there are pending requests. waiting=0, grammar=0, pending_dp=0, running=1, cur_batch=1, last_batch=1, " +
		"chunked=False, pending_results=1, pd_prefill=0, pd_prealloc=0, pd_transfer=0, pd_bootstrap=0\n"
	w := send(s, "POST", "/flush_cache", "")
	if want := begin + strings.Replace(recorded, "running=1", "running=2", 1); w.Code != http.StatusBadRequest || w.Body.String() != want {
		t.Errorf("busy: %d %q, want %q", w.Code, w.Body, want)
	}
	close(engine.release)
	if code := <-done; code != http.StatusOK {
		t.Errorf("the request in hand got %d", code)
	}
}

func TestOrigins(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.CORSOrigins = []string{"https://good"} })
	for _, c := range []struct {
		method, origin, asks string
		status               int
		allowed              string
	}{
		{"OPTIONS", "https://good", "POST", 200, "https://good"},
		{"OPTIONS", "https://evil", "POST", 400, ""},
		{"OPTIONS", "https://good", "BREW", 400, "https://good"},
		{"OPTIONS", "", "POST", 405, ""},
		{"OPTIONS", "https://good", "", 405, "https://good"},
		{"GET", "https://good", "", 200, "https://good"},
		{"GET", "https://evil", "", 200, ""},
		{"GET", "", "", 200, ""},
	} {
		w := send(s, c.method, "/ping", "", "Origin", c.origin, "Access-Control-Request-Method", c.asks)
		if w.Code != c.status || w.Header().Get("Access-Control-Allow-Origin") != c.allowed {
			t.Errorf("%+v: %d, allowed %q", c, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
	all := newTestServer(t, nil)
	if got := send(all, "GET", "/ping", "", "Origin", "https://any").Header().Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("any origin is allowed as %q, want *", got)
	}
	if got := send(all, "GET", "/ping", "", "Origin", "https://any", "Cookie", "a=b").Header().Get("Access-Control-Allow-Origin"); got != "https://any" {
		t.Errorf("with a cookie the origin is allowed as %q, want itself", got)
	}
}

func TestNotServed(t *testing.T) {
	s := newTestServer(t, nil)
	for path, methods := range notServed {
		for _, method := range strings.Fields(methods) {
			w := send(s, method, path, `{}`)
			if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), path+" is not served") {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	w := send(s, "DELETE", "/flush_cache", "")
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("DELETE /flush_cache: %d, allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// TestRedirect: the place is relative, whatever host the client names, and keeps the
// query.
func TestRedirect(t *testing.T) {
	s := newTestServer(t, nil)
	for asked, want := range map[string]string{
		"/profile_status/?details=true":     "/profile_status?details=true",
		"/v1/score/":                        "/v1/score",
		"http://evil.example/v1/score/?a=b": "/v1/score?a=b",
		"/flush_cache/?a=%2F%0d%0aX:":       "/flush_cache?a=%2F%0d%0aX:",
	} {
		r := httptest.NewRequest("POST", asked, nil)
		r.Host = "evil.example"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != http.StatusTemporaryRedirect || got != want {
			t.Errorf("%s: status %d, location %q, want %q", asked, w.Code, got, want)
		}
	}
	for _, path := range []string{"/nope/", "//evil.example/", "//evil.example/v1/score/", "/v1/score//"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%s: status %d, location %q, want 404", path, w.Code, w.Header().Get("Location"))
		}
	}
}

// TestHead: wherever GET reads, HEAD has its status and headers. Where GET acts there is
// no HEAD, and nothing happens.
func TestHead(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.Metrics = NewMetrics("test") })
	web := httptest.NewServer(s)
	defer web.Close()
	ask := func(method, path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	acting := map[string]bool{"/flush_cache": true, "/start_profile": true, "/stop_profile": true}
	heads := 0
	for _, route := range s.router.Routes() {
		if _, unserved := notServed[route.Pattern]; unserved || route.Handlers["GET"] == nil {
			continue
		}
		path := strings.Replace(route.Pattern, "*", "Qwen/Qwen3-0.6B", 1)
		head := ask("HEAD", path)
		if acting[path] {
			if head.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("HEAD %s gives %d, want 405", path, head.StatusCode)
			}
			continue
		}
		heads++
		get := ask("GET", path)
		if head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s gives %d %q, GET %d %q", path, head.StatusCode, head.Header.Get("Content-Type"), get.StatusCode, get.Header.Get("Content-Type"))
		}
	}
	if heads < 14 {
		t.Errorf("%d paths answer HEAD", heads)
	}
	if got := send(s, "GET", "/profile_status", "").Body.String(); got != `{"status":"idle"}` {
		t.Errorf("profiler is %s after HEAD", got)
	}
}

// TestRetries: clients that read X-Should-Retry do not repeat what cannot get better, and
// do repeat what can.
func TestRetries(t *testing.T) {
	overflows := newRerankServer(t, exclaimed{})
	for name, c := range map[string]struct {
		s            *Server
		method, path string
		body         string
		status       int
		final        bool
	}{
		"not served":   {newTestServer(t, nil), "POST", "/v1/chat/completions", `{}`, 501, true},
		"no profile":   {newTestServer(t, nil), "POST", "/stop_profile", ``, 409, true},
		"not finite":   {overflows, "POST", "/v1/rerank", `{"query":"q","documents":["~"]}`, 500, true},
		"broken step":  {newTestServer(t, func(_ *Config, m *Model) { m.Scorer = newTestScorer(t, brokenEngine{}, nil) }), "POST", "/v1/score", base + `,"label_token_ids":[1]}`, 500, false},
		"loading":      {New(Config{MaxBody: 100, Logger: slog.New(slog.DiscardHandler)}), "POST", "/v1/score", `{}`, 503, false},
		"bad request":  {newTestServer(t, nil), "POST", "/v1/score", `{}`, 400, false},
		"good request": {newTestServer(t, nil), "POST", "/v1/score", base + `,"label_token_ids":[1]}`, 200, false},
	} {
		w := send(c.s, c.method, c.path, c.body)
		want := map[bool]string{true: "false", false: ""}[c.final]
		if got := w.Header().Get("X-Should-Retry"); w.Code != c.status || got != want {
			t.Errorf("%s: status %d, X-Should-Retry %q; want %d, %q", name, w.Code, got, c.status, want)
		}
	}
}

func TestServerInfo(t *testing.T) {
	s := newTestServer(t, func(c *Config, m *Model) {
		c.Version, c.APIKey = "1.2", "very-secret"
		m.Settings = []Setting{{"model_path", json.RawMessage(`"p"`)}, {"api_key", json.RawMessage(`null`)}}
	})
	w := send(s, "GET", "/get_server_info", "", "Authorization", "Bearer very-secret")
	var info struct {
		ModelPath      string  `json:"model_path"`
		APIKey         *string `json:"api_key"`
		Status         string
		Version        string
		MaxInput       int                                `json:"max_req_input_len"`
		InternalStates []struct{ Buckets []score.Bucket } `json:"internal_states"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if info.ModelPath != "p" || info.Status != "ready" || info.Version != "1.2" || info.MaxInput != testContext-6 || len(info.InternalStates[0].Buckets) != 1 {
		t.Errorf("info %s", w.Body)
	}
	if strings.Contains(w.Body.String(), "very-secret") {
		t.Error("info shows the key")
	}
}

// TestMetrics: every series is there at zero, moves with the traffic, and follows
// Prometheus' conventions.
func TestMetrics(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.Metrics = NewMetrics("1.2") })
	s.cfg.Metrics.WatchDevice(func() Device { return Device{Compiles: 3} })
	read := func() map[string]string {
		series := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^(scored_\S+) (\S+)$`).FindAllStringSubmatch(send(s, "GET", "/metrics", "").Body.String(), -1) {
			series[m[1]] = m[2]
		}
		return series
	}
	s.cfg.Metrics.Devices(2)
	before := read()
	for _, code := range regexp.MustCompile(`"([2-5]\d\d)":`).FindAllStringSubmatch(openAPI, -1) {
		if name := `scored_requests_total{code="` + code[1] + `"}`; before[name] != "0" {
			t.Errorf("%s is %q before any request, want 0: the API's description has it", name, before[name])
		}
	}
	for _, name := range []string{"scored_items_total", `scored_tokens_total{kind="padding"}`, `scored_steps_total{device="0",result="failed"}`,
		`scored_steps_total{device="1",result="failed"}`, "scored_queue_rows",
		`scored_stage_seconds_count{stage="wait"}`, `scored_rejected_requests_total{reason="overloaded"}`, "scored_not_finite_total",
		`scored_requests_total{code="200"}`, `scored_requests_total{code="500"}`} {
		if before[name] != "0" {
			t.Errorf("%s is %q before any request, want 0", name, before[name])
		}
	}
	send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`)
	after := read()
	for name, want := range map[string]string{"scored_items_total": "2", `scored_tokens_total{kind="prompt"}`: "17", `scored_tokens_total{kind="computed"}`: "17",
		`scored_tokens_total{kind="padding"}`: "4079", `scored_steps_total{device="0",result="ok"}`: "1", `scored_stage_seconds_count{stage="read"}`: "1",
		`scored_stage_seconds_count{stage="reply"}`: "1", "scored_ready": "1", "scored_compiles_total": "3", `scored_build_info{version="1.2"}`: "1"} {
		if after[name] != want {
			t.Errorf("%s is %q, want %s", name, after[name], want)
		}
	}
	families, err := s.cfg.Metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	faults, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(faults) > 0 {
		t.Errorf("metrics break conventions: %v %v", faults, err)
	}
	if w := send(newTestServer(t, nil), "GET", "/metrics", ""); w.Code != http.StatusNotFound {
		t.Errorf("/metrics without metrics gives %d, want 404", w.Code)
	}
}

// TestProbes are neither counted nor, at the usual level, logged.
func TestProbes(t *testing.T) {
	var lines strings.Builder
	s := newTestServer(t, func(c *Config, _ *Model) {
		c.Metrics, c.Access = NewMetrics("test"), slog.New(slog.NewTextHandler(&lines, nil))
	})
	for _, path := range []string{"/health", "/health_generate", "/livez", "/readyz", "/ping", "/metrics", "/v1/models"} {
		send(s, "GET", path, "")
	}
	if got := lines.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "path=/v1/models") {
		t.Errorf("log %q, want one line, of /v1/models", got)
	}
	metrics := send(s, "GET", "/metrics", "").Body.String()
	for _, want := range []string{`scored_requests_total{code="200"} 1`, "scored_request_seconds_count 1"} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics do not say %s", want)
		}
	}
}

// TestLastSpan: every request whose body is read ends with a reply, which on failure
// tells the status and nothing of the prompt.
func TestLastSpan(t *testing.T) {
	spans := &spanList{}
	s := newTestServer(t, func(c *Config, m *Model) {
		c.Metrics = NewMetrics("test")
		m.Observer, m.Scorer = spans, newTestScorer(t, brokenEngine{}, c.Metrics)
	})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/score", base + `,"label_token_ids":["secret"]}`, "answered with status 400"},
		{"/v1/score", base + `,"label_token_ids":[1]}`, "answered with status 500"},
		{"/v1/rerank", `{"query":"secret"}`, "answered with status 400"},
		{"/v1/score", `{"model":"m","query":"","items":[],"label_token_ids":[1]}`, "<nil>"},
	} {
		send(s, "POST", c.path, c.body)
		if last := spans.last(); last.Stage != score.StageReply || fmt.Sprint(last.Err) != c.want || last.End.Before(last.Start) {
			t.Errorf("%s %s: last span %+v, want a reply with error %s", c.path, c.body, last, c.want)
		}
	}
	sound := &spanList{}
	working := newTestServer(t, func(_ *Config, m *Model) { m.Observer = sound })
	send(working, "POST", "/v1/score", base+`,"label_token_ids":[1]}`)
	if last := sound.last(); last.Stage != score.StageReply || last.Err != nil || last.Rows != 2 {
		t.Errorf("of a request that was scored the last span is %+v, want a reply of 2 rows", last)
	}
	if metrics := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, "scored_cancelled_requests_total 0") {
		t.Error("a failed step is counted as a client that left")
	}
}

// spanList keeps the spans it is told.
type spanList struct {
	mu  sync.Mutex
	all []score.Span
}

func (l *spanList) Observe(span score.Span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, span)
}

func (l *spanList) last() score.Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1]
}

// brokenEngine fails every step.
type brokenEngine struct{ fakeEngine }

func (brokenEngine) Run(*score.Step) (score.Pending, error) {
	return nil, errors.New("device fell over")
}

// TestDescription: every route is described, and every path that is described is routed.
func TestDescription(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.Metrics = NewMetrics("test") })
	w := send(s, "GET", "/openapi.json", "")
	var api struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(w.Body.Bytes(), &api); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{"GET /openapi.json": true, "GET /docs": true, "GET /docs/reference": true, "GET /docs/swagger-ui-bundle.js": true,
		"GET /docs/swagger-ui.css": true}
	for path, methods := range api.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+strings.Replace(path, "{id}", "*", 1)] = true
		}
	}
	for _, route := range s.router.Routes() {
		for method := range route.Handlers {
			if method == http.MethodHead { // goes with GET
				continue
			}
			name := method + " " + route.Pattern
			if _, unserved := notServed[route.Pattern]; !described[name] && !unserved {
				t.Errorf("route %s is not described", name)
			}
			delete(described, name)
		}
	}
	for name := range described {
		t.Errorf("%s is described and not routed", name)
	}
	if w := send(s, "GET", "/docs", ""); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "//cdn.") || !strings.Contains(w.Body.String(), "<form") {
		t.Errorf("/docs: %d", w.Code)
	}
	off := newTestServer(t, func(c *Config, _ *Model) { c.DisableDocs = true })
	for _, path := range []string{"/docs", "/docs/reference", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"} {
		if w := send(off, "GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s with docs off gives %d, want 404", path, w.Code)
		}
	}
}

// TestDescriptionForGenerators: generators of clients follow references into components
// alone and one step at a time, read a number without a format as float32, and make a
// type ScoreResponse of their own from the operation score.
func TestDescriptionForGenerators(t *testing.T) {
	var api map[string]any
	if err := json.Unmarshal([]byte(openAPI), &api); err != nil {
		t.Fatal(err)
	}
	if api["servers"] == nil || api["info"].(map[string]any)["license"] == nil {
		t.Error("servers or license are missing")
	}
	components := api["components"].(map[string]any)
	taken := map[string]bool{}
	for _, methods := range api["paths"].(map[string]any) {
		for _, operation := range methods.(map[string]any) {
			taken[strings.ToLower(operation.(map[string]any)["operationId"].(string))+"response"] = true
		}
	}
	names := map[string]string{}
	for kind, all := range components {
		for name, component := range all.(map[string]any) {
			if other, twice := names[name]; twice || taken[strings.ToLower(name)] {
				t.Errorf("%s/%s has a name that is taken: %s", kind, name, other)
			}
			names[name] = kind
			if component.(map[string]any)["$ref"] != nil {
				t.Errorf("%s/%s is a reference itself", kind, name)
			}
		}
	}
	var walk func(at string, node any)
	walk = func(at string, node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				walk(at, child)
			}
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				path := strings.Split(ref, "/")
				if len(path) != 4 || path[0] != "#" || path[1] != "components" || components[path[2]].(map[string]any)[path[3]] == nil {
					t.Errorf("%s: reference %s", at, ref)
				}
			}
			if node["type"] == "number" && node["format"] != "double" || (node["const"] != nil || node["enum"] != nil) && node["type"] == nil {
				t.Errorf("%s: %v", at, node)
			}
			for key, child := range node {
				if key != "examples" {
					walk(at+"/"+key, child)
				}
			}
		}
	}
	walk("", api)
}

func TestHealth(t *testing.T) {
	s := newTestServer(t, nil)
	for _, path := range []string{"/livez", "/health", "/readyz", "/ping", "/health_generate"} {
		if w := send(s, "GET", path, ""); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "" {
			t.Errorf("%s: %d %q %q", path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	if w := send(s, "GET", "/health_generate?multimodal=True", ""); w.Body.String() != "null" {
		t.Errorf("multimodal: %q, want null", w.Body)
	}
	s.model.Load().Scorer.Close()
	for path, want := range map[string]int{"/livez": 200, "/health": 503, "/readyz": 503, "/ping": 503, "/health_generate": 503} {
		if w := send(s, "GET", path, ""); w.Code != want {
			t.Errorf("%s of a closed scorer: %d, want %d", path, w.Code, want)
		}
	}
}
