package server

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"scored/profile"
	"scored/score"
	"scored/score/scoretest"
)

// fakeEngine answers from the prompt and label alone.
type fakeEngine struct{}

func (fakeEngine) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 4096, Rows: 64, Length: 4096, Cost: 1}}
}
func (fakeEngine) Pages() int { return scoretest.ManyPages }
func (fakeEngine) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		for _, read := range append(slices.Clone(row.Inner), score.Read{Labels: row.Labels}) {
			for _, label := range read.Labels {
				h := fnv.New32a()
				for _, id := range append(slices.Clone(row.Tokens[:len(row.Tokens)-read.Back]), label) {
					h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
				}
				answers[i] = append(answers[i], -float32(h.Sum32()%1000)/100)
			}
		}
	}
	return scoretest.Done(answers), nil
}

// fakeEncoder makes every byte a token.
type fakeEncoder struct{}

func (fakeEncoder) Lead() int           { return 0 }
func (fakeEncoder) Cut(string) int      { return 0 }
func (fakeEncoder) CutFront(string) int { return 0 }
func (fakeEncoder) Least(string) int    { return 0 }

func (fakeEncoder) Encode(text string, _ bool) ([]int32, error) {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	return ids, nil
}

// fakeWords knows the labels of one letter.
type fakeWords struct{ fakeEncoder }

func (w fakeWords) Tokens(text string) ([]int32, error) { return w.Encode(text, false) }

func (fakeWords) Single(text string) (int32, error) {
	if len(text) != 1 {
		return 0, fmt.Errorf("text %q is %d tokens, not one", text, len(text))
	}
	return int32(text[0]), nil
}

const testContext = 2048

// newTestServer serves the fakes; change may alter what it shows, takes and answers with.
func newTestServer(t testing.TB, change func(*Config, *Model)) *Server {
	t.Helper()
	cfg := Config{ServedModel: "Qwen/Qwen3-0.6B", ModelPath: "Qwen/Qwen3-0.6B", TokenizerPath: "Qwen/Qwen3-0.6B",
		MaxBody: 1 << 20, CORSOrigins: []string{"*"}, Logger: slog.New(slog.DiscardHandler)}
	m := &Model{ContextLength: testContext, Vocab: 151669, BaseVocab: 151643, Words: fakeWords{}}
	if change != nil {
		change(&cfg, m)
	}
	var observers score.Observers
	if cfg.Metrics != nil {
		observers = append(observers, cfg.Metrics)
	}
	if m.Observer != nil {
		observers = append(observers, m.Observer)
	}
	if m.Profiler == nil {
		m.Profiler = profile.New(profile.Config{DefaultDir: t.TempDir(), Host: "test", EmulateSGLang: cfg.EmulateSGLang})
	}
	observers = append(observers, m.Profiler)
	m.Observer = observers
	if m.Scorer == nil {
		m.Scorer = newTestScorer(t, fakeEngine{}, m.Observer)
	}
	t.Cleanup(func() {
		m.Scorer.Close()
		if err := m.Profiler.Close(); err != nil {
			t.Error(err)
		}
	})
	s := New(cfg)
	s.Serve(m)
	return s
}

func newTestScorer(t testing.TB, engine score.Engine, observer score.Observer) *score.Scorer {
	t.Helper()
	scorer, err := score.New(score.Config{Vocab: 151669, ContextLength: testContext, Observer: observer}, fakeEncoder{}, engine)
	if err != nil {
		t.Fatal(err)
	}
	return scorer
}

// send makes a request as JSON, with further headers in pairs.
func send(s http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
