package real

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"scored/tests/process"
)

// server is the real binary with the trained model.
type server struct {
	*testing.T
	address string
}

// serve starts the binary until the test ends, and checks that it stops with status 0.
func serve(t *testing.T, args ...string) server {
	t.Helper()
	scored, err := filepath.Abs("../../bin/scored")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(scored); err != nil {
		t.Fatalf("%v; run `make real`", err)
	}
	s := process.Start(t, exec.Command(scored), append([]string{"--model-path", folder(t), "--port", "0", "--offline",
		"--compile-cache", "../../.cache/compile", "--context-length", "2048", "--buckets", bucketFlag}, args...)...)
	t.Cleanup(func() {
		_ = s.Cmd.Process.Signal(syscall.SIGTERM) // a process that has ended already is reported below
		if status := s.End(time.Minute); status != 0 {
			t.Errorf("server stopped with status %d, want 0", status)
		}
	})
	return server{t, s.Address()}
}

// answer is an answer of /v1/score.
type answer struct {
	Scores   [][]float64
	Logprobs [][]float64
	Labels   []int64 `json:"label_token_ids"`
	// LabelTokens are there with label_mode "sequence".
	LabelTokens [][]int `json:"label_tokens"`
	Usage       struct {
		Prompt int `json:"prompt_tokens"`
		Cached int `json:"cached_tokens"`
	}
}

func (s server) score(body map[string]any) (a answer) {
	s.Helper()
	body["model"], body["usage"] = "m", true
	data, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	status, text := s.post("/v1/score", data)
	if err := json.Unmarshal(text, &a); err != nil || status != http.StatusOK {
		s.Fatalf("status %d: %s", status, text)
	}
	return a
}

// flush empties the prefix cache.
func (s server) flush() {
	s.Helper()
	if status, text := s.post("/flush_cache", nil); status != http.StatusOK {
		s.Fatalf("flush: status %d: %s", status, text)
	}
}

func (s server) post(path string, body []byte) (int, []byte) {
	s.Helper()
	response, err := http.Post("http://"+s.address+path, "application/json", bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, text
}

// readme sends the README's first request and compares with the answer in the README.
func (s server) readme() {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		s.Fatal(err)
	}
	found := regexp.MustCompile("(?s)-d '(\\{.*?\\})'.*?```json\n(.*?)\n```").FindSubmatch(text)
	if found == nil {
		s.Fatal("README has no request with an answer")
	}
	status, body := s.post("/v1/score", found[1])
	var got, want struct {
		Scores [][]float64
		Labels []int `json:"label_token_ids"`
	}
	if err := errors.Join(json.Unmarshal(found[2], &want), json.Unmarshal(body, &got)); err != nil || status != http.StatusOK {
		s.Fatalf("status %d, error %v: %s", status, err, body)
	}
	if !slices.Equal(got.Labels, want.Labels) || len(got.Scores) != len(want.Scores) {
		s.Fatalf("answer is %s, README has %s", body, found[2])
	}
	for i, row := range want.Scores {
		if math.Abs(got.Scores[i][0]-row[0]) > 1e-3 || math.Abs(got.Scores[i][1]-row[1]) > 1e-3 {
			s.Errorf("item %d scores %v, README has %v", i, got.Scores[i], row)
		}
	}
}

// folder returns the checkpoint that `make real` makes.
func folder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SCORED_REAL_MODEL")
	if dir == "" {
		t.Skip("needs a trained model: make real")
	}
	return dir
}
