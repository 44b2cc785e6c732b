package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"scored/tests/process"
)

// timeless removes from answers the time when they were made, which vLLM's dialects have.
func timeless(answers []byte) []byte {
	return regexp.MustCompile(`"created":\d+`).ReplaceAll(answers, []byte(`"created":0`))
}

// TestSameAsServer: in every dialect the answers are those of the server, byte for byte.
func TestSameAsServer(t *testing.T) {
	lines := []struct{ url, body string }{
		{"/v1/score", `{"model":"m","query":"Is it? ","items":["yes","no"],"labels":[" yes"," no"],"apply_softmax":true,"usage":true}`},
		{"/v1/score", `{"model":"m","query":[1,2,3],"items":[[4,5],[6]],"label_token_ids":[9454,2753],"return_logprobs":true}`},
		{"/v1/score", `{"model":"m","query":"q","items":["a"],"label_token_ids":[-1]}`},
		{"/rerank", `{"query":"q","texts":["a","b"]}`},
		{"/v1/rerank", `{"query":"q","documents":["a","b"],"model":"m"}`},
		{"/v1/ranking", `{"model":"m","query":{"text":"q"},"passages":[{"text":"a"}]}`},
		{"/generative_scoring", `{"query":"q","items":["a","b"],"label_token_ids":[3]}`},
		{"/invocations", `{"query":"q","texts":[]}`},
		{"/vertex", `{"instances":[{"query":"q","texts":["a"]}]}`},
	}
	address, _ := process.Launch(t, process.Binary(t), process.Tiny(append(few(), "--port", "0")...)...)
	dir := t.TempDir()
	in, out, remote := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "remote.jsonl")
	var text bytes.Buffer
	for i, line := range lines {
		fmt.Fprintf(&text, `{"custom_id":"%d","method":"POST","url":%q,"body":%s}`+"\n", i, line.url, line.body)
	}
	write(t, in, text.Bytes())
	scored(t, 3, process.Tiny(append([]string{in, out, "--concurrency", "1"}, few()...)...)...)
	scored(t, 3, in, remote, "--url", "http://"+address, "--concurrency", "1")
	if got, want := timeless(read(t, out)), timeless(read(t, remote)); !bytes.Equal(got, want) {
		t.Errorf("output is\n%s\nwith --url\n%s", got, want)
	}
	type answer struct {
		Response struct {
			StatusCode int `json:"status_code"`
			Body       json.RawMessage
		}
	}
	var got []answer
	for d := json.NewDecoder(bytes.NewReader(read(t, out))); d.More(); {
		var one answer
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	if len(got) != len(lines) {
		t.Fatalf("%d answers to %d lines", len(got), len(lines))
	}
	for i, line := range lines {
		request, err := http.NewRequest("POST", "http://"+address+line.url, strings.NewReader(line.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Request-Id", fmt.Sprintf("batch_req_%d", i+1))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // read to its end
		if err != nil || response.StatusCode != got[i].Response.StatusCode || !bytes.Equal(timeless(body), timeless(got[i].Response.Body)) {
			t.Errorf("%s: %d %s, the server's %d %s, %v", line.url, got[i].Response.StatusCode, got[i].Response.Body, response.StatusCode, body, err)
		}
	}
}

// TestUnsorted: with a KV cache that does not hold all queries, lines in any order cost
// about as much as sorted lines. The excess is at most a tenth of the excess of the same
// lines when none waits for others. Runs differ by a quarter: the scheduler decides which
// lines arrive before their query is kept.
func TestUnsorted(t *testing.T) {
	const queries, each = 12, 15
	random := rand.New(rand.NewPCG(5, 5))
	words := strings.Fields(string(read(t, "../../bench/words.txt")))
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(words[random.IntN(len(words))] + " ")
		}
		return b.String()
	}
	var lines []string
	for range queries {
		query := text(80) // some 480 bytes, each of them a token
		for range each {
			lines = append(lines, fmt.Sprintf(`{"model":"m","query":%q,"items":[%q],"label_token_ids":[89,78]}`+"\n", query, text(4)))
		}
	}
	dir := t.TempDir()
	computed := func(name string, flags ...string) float64 {
		in := filepath.Join(dir, name)
		write(t, in, []byte(strings.Join(lines, "")))
		said := scored(t, 0, process.Small(append([]string{in, filepath.Join(dir, "out-"+name), "--prefix-cache-bytes", "1500000"}, append(few(), flags...)...)...)...)
		m := regexp.MustCompile(`(\d+) steps, (\d+) tokens computed, (\d+) not`).FindStringSubmatch(said)
		if m == nil {
			t.Fatalf("no tokens are told:\n%s", said)
		}
		t.Log(name, m[0])
		n, _ := strconv.ParseFloat(m[2], 64) // digits
		return n
	}
	sorted := computed("sorted.jsonl")
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	unsorted, apart := computed("unsorted.jsonl"), computed("apart.jsonl", "--window", "1")
	if apart < 3*sorted {
		t.Errorf("%g tokens are computed of unsorted lines, each a window, %g of sorted ones: the KV cache holds all queries", apart, sorted)
	}
	if unsorted > sorted+(apart-sorted)/10 {
		t.Errorf("%g tokens are computed of unsorted lines, %g of sorted ones, %g with each a window", unsorted, sorted, apart)
	}
}

// TestDiskFull: a full disk ends the run with an error that has the remedy, and nothing
// is lost.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	in, whole, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "whole.jsonl"), filepath.Join(dir, "out.jsonl")
	writeLines(t, in, 2000)
	address, stop := serveAnswers(t)
	defer stop()
	flags := []string{"--url", address, "--window", "100"}
	scored(t, 0, append([]string{in, whole}, flags...)...)
	if said := scored(t, 1, append([]string{in, out}, flags...)...); !strings.Contains(said, "no space left on device; make room, and go on with --resume") {
		t.Errorf("a full disk says: %s", said)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	said := scored(t, 0, append([]string{in, out, "--resume"}, flags...)...)
	if !bytes.Equal(read(t, out), read(t, whole)) {
		t.Error("output after a full disk is not that of one run")
	}
	if strings.Contains(said, "scored 2000 lines") {
		t.Errorf("all is scored again: %s", said)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
