package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shapeOnly is a model folder with config.json and nothing else: whoever opens weights
// or a tokenizer there fails, and names them.
func shapeOnly(t *testing.T) string {
	t.Helper()
	config, err := os.ReadFile("../../tests/models/tiny/config.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// started runs `scored serve` and gives its exit status, its log and the last line,
// which is the error. A plugin that had to be fetched would fail, and be named.
func started(t *testing.T, env []string, args ...string) (status int, log, last string) {
	t.Helper()
	t.Setenv("PIP_INDEX_URL", "http://127.0.0.1:1")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	var stderr strings.Builder
	status = run(t.Context(), append([]string{"serve", "--port", "0", "--plugin-dir", t.TempDir()}, args...), environment(env...), &stderr, &stderr)
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	return status, stderr.String(), lines[len(lines)-1]
}

// TestRefusedBeforeLoading: what cannot work is refused by its flags' names, with
// status 2, before weights or a tokenizer are opened or a plugin is fetched.
func TestRefusedBeforeLoading(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		env  []string
		want []string
	}{
		{args: "--context-length 4096 --buckets 64x1x64x0,128x8x64x2048", want: []string{"--buckets", "--context-length", "2049", "4096"}},
		{args: "--buckets 64x1x64x0,128x8x64x2048", want: []string{"--buckets", "--context-length", "2049", "40960"}},
		{args: "--context-length 66 --buckets 64x1x64x0", want: []string{"--buckets", "--context-length"}},
		{args: "--context-length 66 --buckets 64x1x64x0 --device tpu --attention-backend native", want: []string{"--buckets", "--context-length"}},
		{args: "--context-length 66 --buckets 64x1x64x0 --device cuda", want: []string{"--buckets", "--context-length"}},
		{args: "--chunked-prefill-size 32", want: []string{"--chunked-prefill-size", "--max-prefill-tokens", "--context-length"}},
		{args: "--max-prefill-tokens 32", want: []string{"--chunked-prefill-size", "--max-prefill-tokens", "--context-length"}},
		{args: "--chunked-prefill-size 32 --context-length 4096", want: []string{"--chunked-prefill-size"}},
		{args: "--chunked-prefill-size -1 --max-prefill-tokens 16", want: []string{"--max-prefill-tokens"}},
		{args: "--chunked-prefill-size 128 --device tpu", want: []string{"--chunked-prefill-size"}},
		{args: "--chunked-prefill-size 128 --device tpu --attention-backend native", want: []string{"--chunked-prefill-size"}},
		{args: "--chunked-prefill-size 128 --device tpu --dtype float32", want: []string{"--chunked-prefill-size"}},
		{args: "--chunked-prefill-size 128 --device cuda", want: []string{"--chunked-prefill-size"}},
		{args: "--context-length 7", want: []string{"--context-length", "at least 8"}},
		{args: "--context-length 16777217", want: []string{"--context-length"}},
		{args: "--context-length 40961", env: []string{"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", "0"}, want: []string{"--context-length", "40960"}},
		{args: "--buckets 99999999x1x64x0", want: []string{"--buckets"}},
		{args: "--buckets 64x1x64x99999999", want: []string{"--buckets"}},
		{args: "--cache-salt-by-key", want: []string{"--cache-salt-by-key", "--api-key-file"}},
		{args: "--dtype float16", want: []string{"--dtype"}},
		{args: "--attention-backend flash", want: []string{"--attention-backend"}},
		{args: "--dp-size 0", want: []string{"--dp-size"}},
		{args: "--dp-size 65", want: []string{"--dp-size"}},
		{args: "--tp-size 2", want: []string{"--tp-size", "--dp-size"}},
		{args: "--prefix-cache-bytes -2", want: []string{"--prefix-cache-bytes"}},
		{args: "--max-total-tokens -1", want: []string{"--max-total-tokens"}},
		{args: "--max-queue 0", want: []string{"--max-queue"}},
		{args: "--device cpu", env: []string{"JAX_PLATFORMS", "cuda"}, want: []string{"--device", "JAX_PLATFORMS"}},
		{args: "--dummy-fallback", want: []string{"--dummy-fallback", "--dummy-tokenizer"}},
		{args: "--dummy-fallback --dummy-tokenizer /no/such", want: []string{"/no/such"}},
		{args: "--tokenizer-path /no/such", want: []string{"/no/such"}},
		{args: "--profile-root /no/such", want: []string{"--profile-root"}},
		{args: "--compile-cache " + file, want: []string{"--compile-cache", file, "folder"}},
		{args: "--plugin-dir " + file, want: []string{"--plugin-dir", file, "folder"}},
		{args: "--download-dir " + file, want: []string{"--download-dir", file, "folder"}},
		{args: "--otlp-endpoint nowhere", want: []string{"--otlp-endpoint"}},
		{args: `--preferred-sampling-params {"temperature":2}`, want: []string{"--preferred-sampling-params"}},
		{args: "--port 65536", want: []string{"--port"}},
	} {
		t.Run(strings.Join(append(c.env, c.args), " "), func(t *testing.T) {
			status, _, last := started(t, c.env, append([]string{"--model-path", shapeOnly(t)}, strings.Fields(c.args)...)...)
			if status != 2 {
				t.Errorf("status %d, want 2", status)
			}
			for _, part := range c.want {
				if !strings.Contains(last, part) {
					t.Errorf("error %q does not name %s", last, part)
				}
			}
		})
	}
	// Without these faults the start goes on to the tokenizer and the weights, so the
	// cases above prove something.
	model := shapeOnly(t)
	if status, _, last := started(t, nil, "--model-path", model); status != 1 || !strings.Contains(last, "tokenizer.json does not exist") {
		t.Errorf("status %d and %q; want the missing tokenizer", status, last)
	}
	if status, _, last := started(t, nil, "--model-path", model, "--tokenizer-path", "../../tests/tokenizer/small"); status != 1 || !strings.Contains(last, "neither model.safetensors nor") {
		t.Errorf("status %d and %q; want the missing weights", status, last)
	}
}

// TestNamedPaths: a file or folder that a flag names is part of the command line, so one
// that is missing or is not what the flag takes has status 2, whichever flag it is.
func TestNamedPaths(t *testing.T) {
	dir := t.TempDir()
	pipe, text, empty := filepath.Join(dir, "pipe"), filepath.Join(dir, "plugin.so"), filepath.Join(dir, "empty")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{text: "no plugin", empty: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"--plugin /no/such.so":       "plugin /no/such.so does not exist",
		"--plugin " + text:           "is not an ELF shared object",
		"--plugin " + pipe:           "is not a file",
		"--plugin nonsense":          `plugin "nonsense" is unknown`,
		"--model-path " + pipe:       pipe + " is not a regular file",
		"--model-path " + text:       text + " is a file; name a folder",
		"--model-path /no/such":      "neither a folder nor a hub id",
		"--lora /no/such":            "flag --lora",
		"--lora " + dir:              "flag --lora",
		"--api-key-file /no/such":    "flag --api-key-file",
		"--api-key-file " + empty:    "flag --api-key-file",
		"--price /no/such":           "flag --price",
		"--price " + text:            "flag --price",
		"--template /no/such":        "is neither a file nor one of",
		"--template " + text:         "{item}",
		"--tokenizer-path /no/such":  "/no/such",
		"--dummy-tokenizer /no/such": "/no/such",
		"--profile-root /no/such":    "--profile-root",
		"--compile-cache " + text:    "flag --compile-cache",
		"--load-format dummy --lora " + dir + " --tokenizer-path ../../tests/tokenizer/small": "flag --lora",
	} {
		status, _, last := started(t, nil, append([]string{"--model-path", shapeOnly(t)}, strings.Fields(args)...)...)
		if status != 2 || !strings.Contains(last, want) {
			t.Errorf("%s: status %d and %q; want 2 and %q", args, status, last, want)
		}
	}
	// The other commands go by the same rule.
	model := "--model-path " + shapeOnly(t) + " --offline --plugin-dir " + t.TempDir()
	dummy := " --load-format dummy --tokenizer-path ../../tests/tokenizer/small"
	for line, want := range map[string]string{
		"calibrate --out " + dir + "/price.json --plugin /no/such.so " + model + dummy: "plugin /no/such.so does not exist",
		"calibrate --out " + dir + "/price.json --lora /no/such " + model:              "flag --lora",
		"calibrate --out " + dir + "/none/price.json " + model:                         "flag --out",
		"calibrate --out " + dir + "/price.json --dp-size 0 " + model:                  "flag --dp-size",
		"compile --out " + dir + "/programs --plugin-dir " + text + " --model-path m":  "flag --plugin-dir",
		"compile --out " + dir + "/programs --model-path /no/such":                     "neither a folder nor a hub id",
		"batch " + text + " " + dir + "/out --plugin /no/such.so " + model:             "plugin /no/such.so does not exist",
		"batch " + text + " " + dir + "/out --lora /no/such " + model:                  "flag --lora",
		"batch " + text + " " + dir + "/out --price /no/such " + model:                 "flag --price",
		"batch " + text + " " + dir + "/out --url http://127.0.0.1:1 --max-body 0":     "flag --max-body",
		"setup cpu --wheel-dir /no/such":                                               "flag --wheel-dir",
		"setup gpu":                                                                    "cpu, cuda or tpu",
		"setup cpu --offline --plugin-dir " + text:                                     "flag --plugin-dir",
		"setup cpu --index-url ::bad":                                                  "flag --index-url",
		"setup cpu --index-url ftp://host/simple":                                      "flag --index-url",
		"calibrate --out " + dir + " " + model:                                         "flag --out",
	} {
		var stderr strings.Builder
		if status := run(t.Context(), strings.Fields(line), environment(), &stderr, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: status %d and %q; want 2 and %q", line, status, stderr.String(), want)
		}
	}
}

// TestRefusedInTheWorld: what is wrong outside the command line, where the same line may
// work another time, has status 1, and is found as early.
func TestRefusedInTheWorld(t *testing.T) {
	for args, want := range map[string]string{
		"--host 192.0.2.1":         "check --host and --port",
		"--model-path org/missing": "hub cannot be reached",
		"--plugin cuda --tokenizer-path ../../tests/tokenizer/small": "cuda",
	} {
		status, _, last := started(t, nil, append([]string{"--model-path", shapeOnly(t)}, strings.Fields(args)...)...)
		if status != 1 || !strings.Contains(last, want) {
			t.Errorf("%s: status %d and %q; want 1 and %q", args, status, last, want)
		}
	}
}

// TestFilesAreReadOnce: what --price and --template name may be pipes, as a shell's
// <(...) makes them.
func TestFilesAreReadOnce(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(in, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve --port 0", "batch " + in + " " + in + ".out", "calibrate --out " + in + ".json"} {
		dir := t.TempDir()
		price, template := filepath.Join(dir, "price"), filepath.Join(dir, "template")
		reads := map[string]func() int{
			price: served(t, price, `{"device":"cpu","attention":"native","dtype":"float32","price":`+
				`{"idle_seconds":1,"flops_per_second":1,"weight_bytes_per_second":1,"attention_flops_per_second":1}}`),
		}
		args := append(strings.Fields(command), "--model-path", shapeOnly(t), "--offline", "--plugin-dir", dir,
			"--tokenizer-path", "../../tests/tokenizer/small", "--price", price)
		if !strings.HasPrefix(command, "calibrate") { // which scores no text
			args = append(args, "--template", template)
			reads[template] = served(t, template, "{query}{item}")
		}
		var stderr strings.Builder
		status := run(t.Context(), args, environment(), &stderr, &stderr)
		if status != 1 || !strings.Contains(stderr.String(), "neither model.safetensors nor") {
			t.Errorf("%s: status %d and %q; want the missing weights", command, status, stderr.String())
		}
		for path, count := range reads {
			if n := count(); n != 1 {
				t.Errorf("%s reads its %s %d times, want once", command, filepath.Base(path), n)
			}
		}
	}
}

// served is a pipe that holds the content for each reader. It returns how many there
// were.
func served(t *testing.T, path, content string) func() int {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var readers atomic.Int64
	var over atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			file, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for a reader
			if err != nil {
				return
			}
			if over.Load() {
				_ = file.Close()
				return
			}
			readers.Add(1)
			_, _ = file.WriteString(content)
			for err == nil && !over.Load() { // until the reader has seen the end
				_ = file.Close()
				time.Sleep(time.Millisecond)
				file, err = os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
			}
		}
	}()
	return func() int {
		over.Store(true)
		file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		<-ended
		_ = file.Close()
		return int(readers.Load())
	}
}

// TestClassifierTakesNoTemplate: a classifier reads whole texts, so --template is
// refused before weights or a tokenizer are opened or made.
func TestClassifierTakesNoTemplate(t *testing.T) {
	dir := shapeOnly(t)
	path := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	classifier := strings.Replace(string(config), "Qwen3ForCausalLM", "Qwen3ForSequenceClassification", 1)
	if err := os.WriteFile(path, []byte(classifier), 0o600); err != nil || classifier == string(config) {
		t.Fatal(err, classifier)
	}
	for _, more := range [][]string{nil, {"--load-format", "dummy"}} {
		args := append([]string{"--model-path", dir, "--tokenizer-path", "../../tests/tokenizer/small", "--template", "qwen3"}, more...)
		status, _, last := started(t, nil, args...)
		if status != 2 || !strings.Contains(last, "flag --template is for scores of labels, but the model is a classifier") {
			t.Errorf("%v: status %d and %q; want 2 and the flag", more, status, last)
		}
	}
	if status, _, last := started(t, nil, "--model-path", dir, "--tokenizer-path", "../../tests/tokenizer/small"); status != 1 || !strings.Contains(last, "neither model.safetensors nor") {
		t.Errorf("without a template: status %d and %q; want the missing weights", status, last)
	}
	if status, _, last := started(t, nil, "--model-path", shapeOnly(t), "--tokenizer-path", "../../tests/tokenizer/small", "--template", "qwen3"); status != 1 || !strings.Contains(last, "neither model.safetensors nor") {
		t.Errorf("a language model: status %d and %q; want the missing weights", status, last)
	}
}
