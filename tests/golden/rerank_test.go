package golden

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/server"
	"scored/tokenizer"
)

// rerankRequest is a body of /v1/rerank, with the answers of the model card's method.
type rerankRequest struct {
	Name   string
	Body   json.RawMessage
	Tokens int       // of all prompts
	Scores []float64 // by document
}

// TestRerank sends requests to the real handler, tokenizer and engine. It sends each
// twice: cold, and with the query on the device.
func TestRerank(t *testing.T) {
	backend := plugin(t)
	v, cfg := read(t, "rerank")
	words, err := tokenizer.Open("../../.cache/tokenizer/qwen3")
	if err != nil {
		t.Fatalf("%v; run `make setup`", err)
	}
	t.Cleanup(func() {
		if err := words.Close(); err != nil {
			t.Error(err)
		}
	})
	scorer := newScorer(t, backend.Backend, words, cfg, v.Seed, model.Options{DType: dtypes.Float32, Buckets: buckets(), PrefixCacheBytes: cacheBytes(cfg), Splicer: backend.splicer})
	s := server.New(server.Config{MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	s.Serve(&server.Model{Scorer: scorer, Words: words, ContextLength: 2048, Vocab: words.Vocab(), BaseVocab: words.BaseVocab()})
	within := newChecker(cfg, model.Options{DType: dtypes.Float32})
	for _, r := range readRerank(t) {
		for _, state := range []string{"cold", "warm"} {
			t.Run(r.Name+"/"+state, func(t *testing.T) { r.check(t, s, within) })
		}
	}
	within.log(t)
}

// check sends the request.
func (r rerankRequest) check(t *testing.T, s http.Handler, within *checker) {
	request := httptest.NewRequest(http.MethodPost, "/v1/rerank", strings.NewReader(string(r.Body)))
	request.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, request)
	var answer struct {
		Usage struct {
			Tokens int `json:"total_tokens"`
		}
		Results []struct {
			Index int
			Score float64 `json:"relevance_score"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if answer.Usage.Tokens != r.Tokens || len(answer.Results) != len(r.Scores) {
		t.Fatalf("%d results of %d tokens, want %d of %d", len(answer.Results), answer.Usage.Tokens, len(r.Scores), r.Tokens)
	}
	for i, result := range answer.Results {
		within.score(t, fmt.Sprintf("document %d", result.Index), result.Score, r.Scores[result.Index])
		if i > 0 && result.Score > answer.Results[i-1].Score {
			t.Errorf("result %d is more relevant than the one before", i)
		}
	}
}

func readRerank(t *testing.T) []rerankRequest {
	t.Helper()
	var file struct{ Requests []rerankRequest }
	readJSON(t, "rerank", &file)
	return file.Requests
}
