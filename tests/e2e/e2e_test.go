// Package e2e starts the real binary as the README says and sends requests as its users
// do.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"scored/tests/rounding"
)

func TestServe(t *testing.T) {
	address, cmd := start(t, "--model-path", "Qwen/Qwen3-0.6B", "--load-format", "dummy", "--random-seed", "1", "--offline",
		"--tokenizer-path", "../../.cache/tokenizer/qwen3", "--compile-cache", "../../.cache/compile")
	t.Run("python client", func(t *testing.T) { pythonClient(t, address) })
	t.Run("golden", func(t *testing.T) { golden(t, address) })
	t.Run("readme", func(t *testing.T) { readme(t, address) })
	t.Run("bad input", func(t *testing.T) { badInput(t, address) })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("server stopped with %v, want status 0", err)
	}
}

// full bounds scores of Qwen3-0.6B's shape.
func full() rounding.Rule {
	return rounding.Shape{Layers: 28, Hidden: 1024, Heads: 16 * 128, MLP: 3072, Vocab: 151936}.Float32()
}

// golden sends the full-size golden prompts as token ids and compares with the scores of
// transformers.
func golden(t *testing.T, address string) {
	data, err := os.ReadFile("../golden/full.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Requests []struct {
			Query   []int
			Items   [][]int
			Labels  []int
			Softmax [][]float64
		}
	}
	if err := json.Unmarshal(data, &v); err != nil || len(v.Requests) == 0 {
		t.Fatalf("%d golden requests: %v", len(v.Requests), err)
	}
	for _, r := range v.Requests {
		labels := r.Labels[:2] // both are tokens; the last ones are padding rows, which no client may ask for
		body, err := json.Marshal(map[string]any{"model": "m", "query": r.Query, "items": r.Items, "label_token_ids": labels, "apply_softmax": true})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Scores [][]float64 }
		status, text := post(t, address, "/v1/score", string(body))
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
			t.Fatalf("status %d: %s", status, text)
		}
		for i, row := range r.Softmax {
			want := row[0] / (row[0] + row[1])
			if got, bound := answer.Scores[i][0], full().Score(want); !(math.Abs(got-want) <= bound) {
				t.Errorf("item %d scores %v, want %v within %.2g", i, got, want, bound)
			}
		}
	}
}

// pythonClient sends the bytes of requests.post(url, json=…), and checks that the text
// and the token form of a prompt agree.
func pythonClient(t *testing.T, address string) {
	bodies := []string{
		`{"model": "Qwen/Qwen3-0.6B", "query": "Is this good? ", "items": ["caf\u00e9 \ud83d\ude00", "no"], "label_token_ids": [9454, 2753], "apply_softmax": true}`,
		`{"model": "Qwen/Qwen3-0.6B", "query": [3872, 419, 1661, 30], "items": [[51950, 90316], [902]], "label_token_ids": [9454, 2753], "apply_softmax": true}`,
	}
	var answers []string
	for _, body := range bodies {
		request, err := http.NewRequest(http.MethodPost, "http://"+address+"/v1/score", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"User-Agent": "python-requests/2.32.5", "Accept-Encoding": "gzip, deflate", "Accept": "*/*",
			"Connection": "keep-alive", "Content-Type": "application/json"} {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("status %d, error %v: %s", response.StatusCode, err, text)
		}
		answers = append(answers, string(text))
	}
	if answers[0] != answers[1] {
		t.Errorf("text scores %s, its tokens %s", answers[0], answers[1])
	}
}

// TestRecordedNumbers compares a real checkpoint with PyTorch's answers in float32 to
// five prompts. SCORED_GOLDEN_MODEL is a folder or hub id with the size in its name;
// `make golden MODEL=…` sets it.
func TestRecordedNumbers(t *testing.T) {
	name := os.Getenv("SCORED_GOLDEN_MODEL")
	if name == "" {
		t.Skip("needs real weights: make golden MODEL=Qwen/Qwen3-0.6B")
	}
	var want []float64
	for size, scores := range map[string][]float64{
		"0.6B": {0.8478031754, 0.7786903381, 0.7325083613, 0.7098763585, 0.8621063828},
		"1.7B": {0.8212335706, 0.0854758769, 0.5270419717, 0.3763155043, 0.5739405155},
		"4B":   {0.0901077315, 0.0048061954, 0.0037289467, 0.0576132387, 0.0375696197},
	} {
		if strings.Contains(name, size) {
			want = scores
		}
	}
	if want == nil {
		t.Fatalf("no numbers are recorded for %q; the name must hold 0.6B, 1.7B or 4B", name)
	}
	address, _ := start(t, "--model-path", name, "--dtype", "float32")
	status, text := post(t, address, "/v1/score", `{"query":[1957,1437,25975,25],"items":[[358,2948,419,1985,13],[1096,374,17478,323,38123,13],`+
		`[1084,4278,438,3601,13],[56938,4271,323,4937,9691,13],[2806,5802,279,3349,13]],"label_token_ids":[9834,902],"apply_softmax":true,"model":"m"}`)
	var answer struct{ Scores [][]float64 }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for i := range want {
		if got, bound := answer.Scores[i][0], full().Both().Score(want[i]); !(math.Abs(got-want[i]) <= bound) {
			t.Errorf("item %d scores %v, PyTorch in float32 gave %v, want %.2g between them at most", i, got, want[i], bound)
		}
	}
}

// readme runs the curl commands of the README, against this server's port.
func readme(t *testing.T, address string) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		for _, command := range strings.Split("\n"+block[1], "\ncurl ")[1:] {
			commands = append(commands, "curl "+strings.TrimSpace(command))
		}
	}
	if len(commands) < 2 {
		t.Fatalf("README has %d curl commands, want at least 2", len(commands))
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		command = strings.ReplaceAll(command, "localhost:30000", "127.0.0.1:"+port)
		out, err := exec.Command("bash", "-c", strings.Replace(command, "curl ", "curl -sS --fail-with-body ", 1)).CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%v\n%s", command, err, out)
		}
		if strings.Contains(command, "/v1/score") && !regexp.MustCompile(`^\{"scores":\[\[0\.\d+,0\.\d+\],\[0\.\d+,0\.\d+\]\],"model":"any","usage":null,"object":"scoring","label_token_ids":\[\d+,\d+\]\}$`).Match(out) {
			t.Errorf("%s\nanswers %s", command, out)
		}
	}
}

// badInput: each gets a clear error, and the next request is served.
func badInput(t *testing.T, address string) {
	for body, want := range map[string]string{
		`{"model":"m",`: "JSON decode error",
		`{"query":"a"}`: "'loc': ('body', 'model'), 'msg': 'Field required'",
		`{"model":"m","query":5,"items":["a"],"label_token_ids":[1]}`:              "Input should be a valid string",
		`{"model":"m","query":"a","items":["b"],"label_token_ids":[-1]}`:           "label_token_ids[0] is negative (-1)",
		`{"model":"m","query":"a","items":["b"],"label_token_ids":[151936]}`:       "Token ID 151936 is out of vocabulary",
		`{"model":"m","query":[-1],"items":[[1]],"label_token_ids":[1]}`:           "query[0] is negative (-1)",
		`{"model":"m","query":[1],"items":[[1],[99999999]],"label_token_ids":[1]}`: "items[1][0] (99999999) exceeds vocabulary size",
		`{"model":"m","query":"","items":["a",""],"label_token_ids":[1]}`:          "items[1] and query are both empty",
	} {
		if status, text := post(t, address, "/v1/score", body); status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: status %d, answer %s; want 400 with %q", body, status, text, want)
		}
	}
	if status, text := post(t, address, "/v1/score", `{"model":"m","query":"a","items":"b","label_token_ids":[1]}`); status != http.StatusOK {
		t.Errorf("request after the bad ones: status %d, answer %s", status, text)
	}
}

func post(t *testing.T, address, path, body string) (int, string) {
	t.Helper()
	response, err := http.Post("http://"+address+path, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestStartErrors: a server that cannot start says why in one line that names the cause,
// and its status is not 0.
func TestStartErrors(t *testing.T) {
	scored := binary(t)
	empty, broken := t.TempDir(), t.TempDir()
	if err := os.WriteFile(broken+"/config.json", []byte(`{"model_type":"mistral"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	gguf := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(gguf, []byte("GGUF\x03\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	notPlugin := filepath.Join(empty, "plugin.so")
	if err := os.WriteFile(notPlugin, []byte("no plugin"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   []string
		want   string
		status int
	}{
		"no model":       {nil, "model-path", 2},
		"no such folder": {[]string{"--model-path", "/no/such/folder"}, "/no/such/folder", 2},
		"empty folder":   {[]string{"--model-path", empty}, "config.json", 1},
		"other model":    {[]string{"--model-path", broken}, "model_type", 1},
		"no tokenizer": {[]string{"--plugin-dir", "../../.cache/plugins", "--model-path", "../models/small", "--load-format", "dummy",
			"--tokenizer-path", gguf}, "is not a Hugging Face tokenizer.json", 2},
		"GGUF file":    {[]string{"--model-path", gguf, "--dummy-fallback", "--dummy-tokenizer", "../../.cache/tokenizer/qwen3"}, "scripts/gguf-checkpoint.py", 0},
		"GGUF folder":  {[]string{"--model-path", filepath.Dir(gguf), "--dummy-fallback", "--dummy-tokenizer", "../../.cache/tokenizer/qwen3"}, "GGUF is not supported", 0},
		"wrong plugin": {[]string{"--model-path", "x/y", "--load-format", "dummy", "--tokenizer-path", "../../.cache/tokenizer/qwen3", "--plugin", notPlugin}, "plugin.so", 0},
		"wrong flag":   {[]string{"--nonsense"}, "nonsense", 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, scored, append([]string{"serve", "--port", "0", "--offline"}, c.args...)...).CombinedOutput()
			if err == nil || c.status != 0 && exitStatus(err) != c.status || !strings.Contains(string(out), c.want) {
				t.Errorf("error %v, want status %d (0: any but 0) and output naming %q:\n%s", err, c.status, c.want, out)
			}
		})
	}
}
