package server

import (
	"bufio"
	"encoding/json"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scored/score"
)

// fakeEngine answers from the prompt and label alone.
type fakeEngine struct{}

func (fakeEngine) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 4096, Rows: 64, Length: 4096, Cost: 1}}
}
func (fakeEngine) Match([]int32) (*score.Prefix, int) { return nil, 0 }
func (fakeEngine) Flush() int                         { return 0 }
func (fakeEngine) Run(step *score.Step) ([][]float32, error) {
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		for _, label := range row.Labels {
			h := fnv.New32a()
			for _, id := range append(slices.Clone(row.Tokens), label) {
				h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
			}
			answers[i] = append(answers[i], -float32(h.Sum32()%1000)/100)
		}
	}
	return answers, nil
}

// fakeEncoder makes every byte a token.
type fakeEncoder struct{}

func (fakeEncoder) Encode(text string, _ bool) ([]int32, error) {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	return ids, nil
}

func newTestServer(t *testing.T, key string) *Server {
	t.Helper()
	const vocab, baseVocab, contextLength = 151669, 151643, 2048
	scorer, err := score.New(score.Config{Vocab: vocab, BaseVocab: baseVocab, ContextLength: contextLength}, fakeEncoder{}, fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scorer.Close)
	s := New(Config{ServedModel: "Qwen/Qwen3-0.6B", ModelPath: "Qwen/Qwen3-0.6B", TokenizerPath: "Qwen/Qwen3-0.6B", APIKey: key,
		MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	s.Serve(&Model{Scorer: scorer, ContextLength: contextLength, Vocab: vocab, BaseVocab: baseVocab})
	return s
}

// exchange is one recorded or derived request and its answer; the two files name their fields differently.
type exchange struct {
	Name, Method, Path, Source string
	Headers                    map[string]string
	RequestHeaders             map[string]string `json:"request_headers"`
	Request                    string
	RequestBody                string `json:"request_body"`
	Status                     int
	Response                   string
	ResponseBody               string `json:"response_body"`
}

func exchanges(t *testing.T, file string) (all []exchange) {
	t.Helper()
	f, err := os.Open("../tests/contract/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		e.Request, e.Response = e.Request+e.RequestBody, e.Response+e.ResponseBody
		if e.Headers == nil {
			e.Headers = e.RequestHeaders
		}
		all = append(all, e)
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s holds %d exchanges: %v", file, len(all), lines.Err())
	}
	return all
}

// notServed are the endpoints of the contract that this server does not have yet.
var notServed = []string{"/get_server_info", "/get_load", "/metrics", "/openapi.json", "/docs", "/profile_status", "/health_generate",
	"/start_profile", "/stop_profile", "/flush_cache"}

var number = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?`)

// shape is a success body without its numbers, which depend on weights.
func shape(body string) string { return number.ReplaceAllString(body, "#") }

// TestReplay sends every exchange of the contract whose endpoint is served. Statuses and error texts must be the peer's,
// byte for byte; of successes the shape.
func TestReplay(t *testing.T) {
	for file, name := range map[string]string{"wire.jsonl": "MODEL_DIR", "examples.jsonl": "Qwen/Qwen3-0.6B"} {
		for _, e := range exchanges(t, file) {
			key := ""
			if e.Status == http.StatusUnauthorized {
				key = "secret"
			}
			s := newTestServer(t, key)
			s.cfg.ServedModel, s.cfg.ModelPath, s.cfg.TokenizerPath = name, name, name
			if slices.Contains(notServed, e.Path) || e.Method == http.MethodOptions {
				continue
			}
			t.Run(file+"/"+e.Name+e.Method+e.Path, func(t *testing.T) {
				r := httptest.NewRequest(e.Method, e.Path, strings.NewReader(e.Request))
				for name, value := range e.Headers {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				got := w.Body.String()
				if reason := deviation(e, w.Code); reason != "" {
					t.Skip("deviates on purpose: " + reason)
				}
				if w.Code != e.Status {
					t.Fatalf("status %d, want %d\nrequest %.300s\nanswer  %.300s\nwant    %.300s", w.Code, e.Status, e.Request, got, e.Response)
				}
				want := e.Response
				if w.Code == http.StatusOK {
					got, want = shape(got), shape(want)
				}
				if got != want && e.Method != http.MethodHead {
					t.Errorf("request %.300s\nanswer %.600s\nwant   %.600s", e.Request, got, want)
				}
			})
		}
	}
}

// deviation says why an answer differs from the peer's on purpose; "" if it must not.
func deviation(e exchange, status int) string {
	switch {
	case e.Status == 0:
		return "the peer was dead: an earlier request had killed it"
	case e.Status == http.StatusBadRequest && status == http.StatusOK && strings.Contains(e.Response, "(vocab size: 151643)"):
		return "added tokens have logits, so they may be labels: ids up to 151,668 are accepted"
	case e.Status == http.StatusInternalServerError && status == http.StatusBadRequest:
		return "the peer answers 500 to bad input"
	case e.Status == http.StatusOK && status == http.StatusBadRequest && strings.Contains(e.Request, "999999"):
		return "the peer scores token ids beyond its vocabulary as meaningless numbers"
	}
	return ""
}

func TestKey(t *testing.T) {
	s := newTestServer(t, "secret")
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
	for path, method := range map[string]string{"/health": "GET", "/v1/score": "POST", "/v1/models": "GET"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("{}")))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s while loading gives %d, want 503", path, w.Code)
		}
	}
}

func TestLargeBody(t *testing.T) {
	s := newTestServer(t, "")
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
		`{"model":"m","query":[1],"items":[[2]],"label_token_ids":["1_0",true,1.0],"apply_softmax":"on"}`, `{"a":1,}`, "\xff\xfe{\x00}\x00"} {
		f.Add([]byte(seed))
	}
	scorer, err := score.New(score.Config{Vocab: 1000, ContextLength: 2048}, fakeEncoder{}, fakeEngine{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(scorer.Close)
	s := New(Config{MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	s.Serve(&Model{Scorer: scorer, ContextLength: 2048, Vocab: 1000, BaseVocab: 1000})
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
