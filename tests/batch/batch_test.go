// Package batch runs scored batch as its users do: whole processes, files, and kill -9.
package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// few are flags that keep a start short: few step shapes, and where the plugin is.
func few() []string {
	return []string{"--plugin-dir", "../../.cache/plugins", "--context-length", "2048",
		"--buckets", "64x1x64x0,128x8x64x128,256x2x256x2048"}
}

// TestKilled: a run is killed at random moments, up to ten times, and resumed. It loses
// and repeats nothing: its output is, byte for byte, that of a run without interruption.
// With the model in the process one line is in hand at a time, because the last bits of a
// score depend on the other rows of its step.
func TestKilled(t *testing.T) {
	asked := &answers{}
	server := httptest.NewServer(asked)
	defer server.Close()
	for _, c := range []struct {
		name, ending string
		lines, kills int
		moment       time.Duration // kills come before this time
		flags        []string
	}{
		{"server", "", 10_000, 10, 200 * time.Millisecond, []string{"--url", server.URL, "--concurrency", "16", "--window", "700"}},
		{"server, packed", ".zst", 10_000, 10, 200 * time.Millisecond, []string{"--url", server.URL, "--concurrency", "16", "--window", "700"}},
		{"model", "", 300, 5, 800 * time.Millisecond, process.Small(append(few(), "--concurrency", "1", "--window", "50")...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			in := filepath.Join(dir, "in.jsonl")
			writeLines(t, in, c.lines)
			whole := filepath.Join(dir, "whole.jsonl"+c.ending)
			scored(t, 0, append([]string{in, whole}, c.flags...)...)
			asked.reset()
			out := filepath.Join(dir, "out.jsonl"+c.ending)
			args := append([]string{"batch", in, out, "--resume", "--quiet"}, c.flags...)
			killed := 0
			for range c.kills {
				cmd := exec.Command(process.Binary(t), args...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(rand.N(c.moment))
				_ = cmd.Process.Kill() // it may have ended
				if cmd.Wait() != nil {
					killed++
				}
			}
			progressed, _ := os.Stat(out + ".journal")
			scored(t, 0, args[1:]...)
			got, want := read(t, out), read(t, whole)
			if !bytes.Equal(got, want) {
				t.Errorf("output of %d bytes is not that of one run, of %d", len(got), len(want))
			}
			t.Logf("killed %d times; journal %v; %d of %d bodies were answered more than once", killed, progressed != nil, asked.repeated(), c.lines)
			if killed == 0 {
				t.Error("no run was killed; the lines are too few")
			}
		})
	}
}

// scored runs scored batch and checks its exit status. It returns the output.
func scored(t *testing.T, status int, args ...string) string {
	t.Helper()
	cmd := exec.Command(process.Binary(t), append([]string{"batch"}, args...)...)
	said, _ := cmd.CombinedOutput() // the status is checked below
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("scored batch %s ends with status %d, want %d:\n%s", strings.Join(args, " "), got, status, said)
	}
	return string(said)
}

// writeLines writes lines with different bodies.
func writeLines(t *testing.T, path string, lines int) {
	t.Helper()
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, `{"custom_id":"c%d","method":"POST","url":"/v1/score","body":{"model":"m","query":"query %d","items":["item %d"],"label_token_ids":[89,78]}}`+"\n", i, i%97, i)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// answers is a server whose answer depends on the body alone. Now and then it is slow.
type answers struct {
	mu   sync.Mutex
	seen map[string]int
}

func serveAnswers(t *testing.T) (address string, stop func()) {
	t.Helper()
	server := httptest.NewServer(&answers{})
	return server.URL, server.Close
}

func (a *answers) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = map[string]int{}
}

func (a *answers) repeated() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.seen {
		if times > 1 {
			n++
		}
	}
	return n
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has been killed
	}
	h := fnv.New64a()
	_, _ = h.Write(body)
	time.Sleep(time.Duration(h.Sum64() % uint64(2*time.Millisecond)))
	w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	_ = json.NewEncoder(w).Encode(map[string]any{"scores": [][]float64{{float64(h.Sum64()) / (1 << 64)}}})
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen != nil {
		a.seen[string(body)]++
	}
}
