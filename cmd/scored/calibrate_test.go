package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scored/app"
	"scored/model"
	"scored/score"
	"scored/target"
)

// TestCalibrate: what it writes is a price of this device, which serve's flags take and
// form steps by.
func TestCalibrate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "price.json")
	var stdout, stderr bytes.Buffer
	args := strings.Fields("calibrate --model-path ../../tests/models/tiny --load-format dummy --tokenizer-path ../../tests/tokenizer/small --context-length 512 --buckets 16x1x16x0,64x1x64x0,64x4x16x512 --plugin-dir ../../.cache/plugins --offline --out " + file)
	if status := run(t.Context(), args, environment(), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	if !strings.Contains(stdout.String(), "16x1x16x0") || !strings.Contains(stdout.String(), "GFLOP/s") {
		t.Errorf("it prints %s", stdout.String())
	}
	if !strings.Contains(stderr.String(), `msg="timing: 0 of 4 steps in round 1, of at most 5 rounds"`) {
		t.Errorf("the log does not say that steps are timed: %s", stderr.String())
	}
	var p app.Price
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil || !p.Price.Valid() || p.Device == "" || p.Attention != "native" || p.DType != "float32" {
		t.Fatalf("%v: price file %s", err, data)
	}
	c := parse(t, environment(), "--model", "m", "--price", file)
	options, _, err := c.engineOptions(tinyShape(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range options.Buckets {
		if want := p.Price.Step(model.Costs{Config: tinyShape(t), Attention: p.Attention, Weights: p.DType}.Work(b, 0)); b.Cost != want {
			t.Errorf("%s costs %s, want %s of the file", bucketText(b), b.Cost, want)
		}
	}
}

// TestTimingProgress: while steps are timed, the log says so.
func TestTimingProgress(t *testing.T) {
	timing := &timing{steps: make([]sampledStep, 9)}
	for timed, want := range map[int64]string{
		0: "0 of 9 steps in round 1, of at most 5 rounds", 8: "8 of 9 steps in round 1, of at most 5 rounds",
		9: "0 of 9 steps in round 2, of at most 5 rounds", 45: "9 of 9 steps in round 5, of at most 5 rounds",
	} {
		timing.timed.Store(timed)
		if got := timing.progress(); got != want {
			t.Errorf("after %d steps: %q, want %q", timed, got, want)
		}
	}
}

// TestCalibrateOwnSteps: without --buckets the target's step shapes are timed, within
// --chunked-prefill-size.
func TestCalibrateOwnSteps(t *testing.T) {
	for flags, most := range map[string]int{"": 16384, " --chunked-prefill-size 64": 64} {
		args := strings.Fields("--model-path m --out price.json --context-length 64" + flags)
		c, _, err := parseCalibrate(args, environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		options, _, err := c.engineOptions(tinyShape(t))
		if err != nil {
			t.Fatal(err)
		}
		largest := slices.MaxFunc(options.Buckets, func(a, b score.Bucket) int { return cmp.Compare(a.Tokens, b.Tokens) })
		if largest.Tokens > most || largest.Tokens < min(most, 64) {
			t.Errorf("calibrate%s times steps up to %s", flags, bucketText(largest))
		}
	}
}

func TestBadPrices(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{"": "no such file", "{": "not one that scored calibrate writes", `{"price":{}}`: "rates no step"} {
		file := filepath.Join(dir, "price.json")
		_ = os.Remove(file)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := parseServe([]string{"--model", "m", "--price", file}, environment(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--price") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	for want, line := range map[string]string{"--out": "calibrate --model-path m", "--model-path": "calibrate --out x", "--dtype": "calibrate --out x --model-path m --dtype int8",
		"--out: open none/": "calibrate --out none/price.json --model-path m"} {
		var stderr bytes.Buffer
		if status := run(t.Context(), strings.Fields(line), environment(), &stderr, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: status %d, %s", line, status, stderr.String())
		}
	}
}

// TestSampleSteps: few and quick steps, of few and of many tokens, without a context,
// and on a short and a long one.
func TestSampleSteps(t *testing.T) {
	for _, name := range []string{"cpu-avx2", "cpu-avx512", "cpu-bf16"} {
		cpu, _ := target.Named(name)
		least, most, all := map[int]int{}, map[int]int{}, time.Duration(0)
		for _, one := range sampleSteps(pricedBuckets(cpu, 8192)) {
			least[one.keys], most[one.keys] = cmp.Or(least[one.keys], one.bucket.Tokens), max(most[one.keys], one.bucket.Tokens)
			all += fullStep(one).Cost()
		}
		if want := (map[int]int{0: 16, 128: 64, 2048: 64}); !maps.Equal(least, want) {
			t.Errorf("%s: the smallest samples, by keys, have %v tokens, want %v", name, least, want)
		}
		if most[0] < 256 || most[128] < 256 || most[2048] < 128 {
			t.Errorf("%s: the largest samples, by keys, have %v tokens", name, most)
		}
		if all > 15*time.Second {
			t.Errorf("%s: a round of samples takes %s", name, all)
		}
	}
}
