// Package salts tests on the real binary how much one client can learn of another's
// prompts: by the number of cached tokens, and by the time of answers.
package salts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// server is a running server.
type server struct {
	testing.TB
	address string
	process *os.Process
}

// launch serves a small model with generated weights.
func launch(t testing.TB, more ...string) server {
	t.Helper()
	address, cmd := process.Launch(t, process.Binary(t), process.Tiny(process.FewShapes(append([]string{"--port", "0",
		"--enable-metrics", "--log-level-http", "warn"}, more...)...)...)...)
	return server{t, address, cmd.Process}
}

// send sends a body with a key and gives the answer.
func (s server) send(path, key string, body any) (status int, text []byte) {
	s.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://"+s.address+path, bytes.NewReader(data))
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, text
}

// fields of a body.
type fields map[string]any

// salted returns the fields, with a salt if it is not empty.
func (f fields) salted(salt string) fields {
	all := fields{}
	for name, value := range f {
		all[name] = value
	}
	if salt != "" {
		all["cache_salt"] = salt
	}
	return all
}

// bodies are requests by path, with a prefix of more than 64 tokens each.
func bodies() map[string]fields {
	query := strings.Repeat("Is this what the client is not to know? ", 20)
	two := []string{"first", "second"}
	ids := slices.Repeat([]int{5, 6, 7}, 50)
	rerank := fields{"query": query, "documents": two}
	return map[string]fields{
		"/v1/score":           {"model": "m", "query": query, "items": two, "label_token_ids": []int{9454, 2753}},
		"/v1/score#sequence":  {"model": "m", "query": query, "items": two, "label_mode": "sequence", "label_tokens": [][]int{{9454, 2753}, {1}}},
		"/v1/score#positions": {"model": "m", "query": ids, "items": [][]int{{1, 2}, {3, 4}}, "label_token_ids": []int{9454, 2753}, "score_positions": []int{0}},
		"/generative_scoring": {"query": query, "items": two, "label_token_ids": []int{9454, 2753}},
		"/score":              {"text_1": query, "text_2": two},
		"/v1/rerank":          rerank,
		"/rerank":             {"query": query, "texts": two},
		"/v1/ranking":         {"query": fields{"text": query}, "passages": []fields{{"text": "first"}, {"text": "second"}}},
		"/invocations":        rerank,
		"/vertex":             {"instances": []fields{rerank}},
	}
}

var cachedCount = regexp.MustCompile(`(?m)^scored_tokens_total\{kind="cached"\} (\S+)$`)

// cached returns the number of prompt tokens of a request that were not computed for it.
func (s server) cached(path, key string, body fields) int {
	s.Helper()
	count := func() int {
		response, err := http.Get("http://" + s.address + "/metrics")
		if err != nil {
			s.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			s.Fatal(err)
		}
		n, err := strconv.Atoi(string(cachedCount.FindSubmatch(text)[1]))
		if err != nil {
			s.Fatal(err)
		}
		return n
	}
	before := count()
	path, _, _ = strings.Cut(path, "#") // several bodies may have one path
	if status, text := s.send(path, key, body); status != http.StatusOK {
		s.Fatalf("%s: status %d: %s", path, status, text)
	}
	return count() - before
}

// TestSalts: in every dialect, a prompt that was computed under another salt counts as
// one that nobody has sent.
func TestSalts(t *testing.T) {
	s := launch(t)
	for path, body := range bodies() {
		s.flush()
		cold, warm := s.cached(path, "", body), s.cached(path, "", body)
		if warm <= cold {
			t.Errorf("%s: a prompt again has %d tokens cached, at first %d", path, warm, cold)
		}
		for _, salt := range []string{"a", "b"} {
			if first, again := s.cached(path, "", body.salted(salt)), s.cached(path, "", body.salted(salt)); first != cold || again != warm {
				t.Errorf("%s: salt %s has %d tokens cached and then %d, want %d and %d", path, salt, first, again, cold, warm)
			}
		}
		if again := s.cached(path, "", body); again != warm {
			t.Errorf("%s: without a salt there are %d tokens cached, want still %d", path, again, warm)
		}
	}
}

// flush empties the prefix cache. The work before must have ended.
func (s server) flush() {
	s.Helper()
	if status, text := s.send("/flush_cache", "", nil); status != http.StatusOK {
		s.Fatalf("cache is not flushed: status %d: %s", status, text)
	}
}

// TestSaltByKey: with --cache-salt-by-key clients of different keys share nothing, nor do
// keys that a SIGHUP adds.
func TestSaltByKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(keys ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(keys, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first", "second team")
	s := launch(t, "--api-key-file", file, "--cache-salt-by-key")
	body := bodies()["/v1/score"]
	cold, warm := s.cached("/v1/score", "first", body), s.cached("/v1/score", "first", body)
	if warm <= cold {
		t.Fatalf("a prompt again has %d tokens cached, at first %d", warm, cold)
	}
	same := func(key, salt string, want int) {
		t.Helper()
		if got := s.cached("/v1/score", key, body.salted(salt)); got != want {
			t.Errorf("key %s with salt %q has %d tokens cached, want %d", key, salt, got, want)
		}
	}
	same("second", "", cold)
	same("first", "a", cold)
	same("second", "a", cold)
	if status, text := s.send("/v1/score", "third", body); status != http.StatusUnauthorized {
		t.Fatalf("a key that is none: status %d: %s", status, text)
	}
	write("third", "first")
	if err := s.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := s.send("/flush_none", "third", nil); status == http.StatusNotFound { // the key is taken
			break
		}
		if time.Now().After(until) {
			t.Fatal("SIGHUP does not bring the new key")
		}
	}
	same("third", "", cold)
	same("first", "", warm)
	if status, text := s.send("/v1/score", "second", body); status != http.StatusUnauthorized {
		t.Errorf("a key that is gone: status %d: %s", status, fmt.Sprintf("%.200s", text))
	}
}
