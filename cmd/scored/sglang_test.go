package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"scored/app"
)

func parse(t *testing.T, env lookup, args ...string) *config {
	t.Helper()
	c, err := parseServe(args, env, io.Discard)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return c
}

// recordedInfo is the /get_server_info of sglang-jax, keys in order.
func recordedInfo(t *testing.T) (keys []string, values map[string]json.RawMessage) {
	t.Helper()
	f, err := os.Open("../../tests/contract/wire.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e struct{ Path, Response string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Path != "/get_server_info" {
			continue
		}
		if err := json.Unmarshal([]byte(e.Response), &values); err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(e.Response))
		_, _ = d.Token()
		for d.More() {
			key, _ := d.Token()
			if key == "status" {
				break // what follows is state, not settings
			}
			keys = append(keys, key.(string))
			var value json.RawMessage
			_ = d.Decode(&value)
		}
		return keys, values
	}
	t.Fatal("no record")
	return nil, nil
}

// TestSettings starts with the arguments of the recorded sglang-jax and shows what it
// showed, key by key.
func TestSettings(t *testing.T) {
	c := parse(t, environment(), "--model-path", "MODEL_DIR", "--context-length", "2048", "--skip-server-warmup", "--dtype", "float32",
		"--mem-fraction-static", "0.15", "--max-running-requests", "8", "--max-prefill-tokens", "2048", "--chunked-prefill-size", "2048",
		"--device", "cpu", "--tokenizer-path", "MODEL_DIR", "--random-seed", "42", "--disable-radix-cache", "--disable-precompile", "--page-size=1",
		"--dp-schedule-policy", "min_running_queue")
	keys, want := recordedInfo(t)
	want["revision"] = json.RawMessage(`"main"`) // this server's default is named where sglang-jax's is not
	all := settings(c.set, app.Chosen{Attention: c.Attention})
	for i, key := range keys {
		if got := all[i]; got.Name != key || string(got.Value) != string(want[key]) {
			t.Errorf("setting %d is %s=%s, sglang-jax's %s=%s", i, got.Name, got.Value, key, want[key])
		}
	}
	c = parse(t, environment(), "--model", "m", "--api-key", "hush", "--disaggregation-shared-secret", "hush", "--otlp-endpoint", "http://me:hush@collector")
	if shown := stringsOf(c) + fmt.Sprint(c.shown()); strings.Contains(shown, "hush") || !strings.Contains(shown, "http://me:xxxxx@collector") {
		t.Errorf("settings or log show a secret: %s", shown)
	}
}

func stringsOf(c *config) string {
	var b strings.Builder
	for _, s := range settings(c.set, app.Chosen{Attention: c.Attention}) {
		b.WriteString(s.Name + "=" + string(s.Value) + "\n")
	}
	return b.String()
}

// TestSGLangLines are launch lines that users of sglang-jax have.
func TestSGLangLines(t *testing.T) {
	for _, line := range []string{
		"--model-path Qwen/Qwen3-0.6B --dtype bfloat16 --tp-size 1 --trust-remote-code --host 0.0.0.0 --port 30000",
		"--model-path Qwen/Qwen3-0.6B --device tpu --attention-backend fa --mem-fraction-static 0.7 --page-size 64 --skip-server-warmup --disable-radix-cache " +
			"--chunked-prefill-size -1 --max-prefill-tokens 16384 --max-running-requests 32 --precompile-token-paddings 1024 4096 16384 --precompile-bs-paddings 1 8 16 32 --log-level info",
		"--model Qwen/Qwen3-0.6B --enable-scoring-cache --max-multi-item-count 512 --multi-item-extend-batch-size 64 --multi-item-score-label-only-logprob --watchdog-timeout 600",
		"--model m --tensor-parallel-size 1 --data-parallel-size 1 --served m --tokenizer-p t --random 7 --enable-metrics",
	} {
		parse(t, environment(), strings.Fields(line)...)
	}
	c := parse(t, environment(), "--model", "m", "--watchdog-timeout", "1.5", "--chunked", "-1", "--precompile-token-paddings", "16", "64", "--dp-size", "2", "--data-parallel-size", "3")
	if c.Watchdog != 1500*time.Millisecond || c.ChunkedPrefill != -1 || c.Replicas != 3 {
		t.Errorf("watchdog %s, chunk %d, replicas %d", c.Watchdog, c.ChunkedPrefill, c.Replicas)
	}
	if v := shown(c, "precompile-token-paddings"); v != "16 64" {
		t.Errorf("list is %s", v)
	}
}

func TestSGLangEnvironment(t *testing.T) {
	c := parse(t, environment("SGLANG_JAX_PROFILER_DIR", "/p", "SGLANG_HEALTH_CHECK_TIMEOUT", "3", "SGL_FORCE_SHUTDOWN", "TRUE", "DISABLE_OPENAPI_DOC", "1",
		"JAX_COMPILATION_CACHE_DIR", "/jit", "HF_HUB_OFFLINE", "1", "JAX_PLATFORMS", "tpu,cpu"), "--model", "m")
	if c.ProfileDir != "/p" || c.HealthTimeout != 3*time.Second || c.DrainTimeout != 0 || !c.DisableDocs ||
		c.CompileCache != "/jit" || !c.Offline || c.Device != "tpu" {
		t.Errorf("config %+v", c)
	}
	if c := parse(t, environment("JAX_COMPILATION_CACHE_DIR", "/jit"), "--model", "m", "--compile-cache", "/ours"); c.CompileCache != "/ours" || c.Device != "cpu" {
		t.Errorf("compile cache %s on %s: want the flag to win, on the CPU", c.CompileCache, c.Device)
	}
	vertex := environment("AIP_HTTP_PORT", "8080", "AIP_HEALTH_ROUTE", "/h", "AIP_PREDICT_ROUTE", "/v1/endpoints/1/deployedModels/2:predict")
	if c := parse(t, vertex, "--model", "m"); c.Port != 8080 || c.Host != "0.0.0.0" || c.HealthRoute != "/h" ||
		c.PredictRoute != "/v1/endpoints/1/deployedModels/2:predict" {
		t.Errorf("on Vertex AI: %s:%d, %s and %s", c.Host, c.Port, c.HealthRoute, c.PredictRoute)
	}
	if c := parse(t, vertex, "--model", "m", "--port", "9", "--host", "::1"); c.Port != 9 || c.Host != "::1" {
		t.Errorf("flags beside Vertex AI's variables: %s:%d, want the flags to win", c.Host, c.Port)
	}
	for name, c := range map[string]struct {
		env  lookup
		args []string
		want string
	}{
		"no port":          {environment("AIP_HTTP_PORT", "http"), nil, "AIP_HTTP_PORT"},
		"no route":         {environment("AIP_PREDICT_ROUTE", "predict"), nil, "AIP_PREDICT_ROUTE"},
		"wild route":       {environment("AIP_HEALTH_ROUTE", "/{a}"), nil, "AIP_HEALTH_ROUTE"},
		"devices disagree": {environment("JAX_PLATFORMS", "tpu"), []string{"--device", "cpu"}, "they must agree"},
		"not a truth":      {environment("DISABLE_OPENAPI_DOC", "maybe"), nil, "DISABLE_OPENAPI_DOC"},
		"not seconds":      {environment("SGLANG_HEALTH_CHECK_TIMEOUT", "soon"), nil, "SGLANG_HEALTH_CHECK_TIMEOUT"},
		"other hub":        {environment("SGLANG_USE_MODELSCOPE", "true"), nil, "SGLANG_USE_MODELSCOPE"},
		"ambiguous":        {environment(), []string{"--max-q", "1", "--max", "1"}, "--max is ambiguous: it may be --max-backlog-seconds, --max-body, --max-client-requests, --max-held-bytes"},
		"not a number":     {environment(), []string{"--page-size", "x"}, "page-size"},
		"sampling":         {environment(), []string{"--preferred-sampling-params", `{"temperature":0.5}`}, "scores are taken at 1"},
		"float16":          {environment(), []string{"--dtype", "float16"}, "--dtype"},
		"two chips a row":  {environment(), []string{"--tp", "2"}, "run more of them with --dp-size"},
	} {
		if _, err := parseServe(append([]string{"--model", "m"}, c.args...), c.env, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to say %q", name, err, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	var out strings.Builder
	if status := run(t.Context(), []string{"serve", "--help"}, environment(), io.Discard, &out); status != 0 {
		t.Errorf("--help ends with status %d", status)
	}
	for _, want := range []string{"--max-queue 9", "--prefix-cache-bytes int", "--page-size\n      a page of the KV cache is 128 tokens", "--nnodes\n      one process serves one host"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("usage lacks %q", want)
		}
	}
	out.Reset()
	if status := run(t.Context(), []string{"serve", "--model", "m", "--no-such-flag"}, environment(), io.Discard, &out); status != 2 || !strings.Contains(out.String(), "no-such-flag") {
		t.Errorf("unknown flag ends with status %d: %s", status, out.String())
	}
}
