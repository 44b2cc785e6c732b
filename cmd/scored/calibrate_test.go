package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scored/target"
)

// TestCalibrate: what it writes is a price of this device, which serve's flags take and form steps by.
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
	var p priceFile
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
		if want := p.Price.Step(tinyShape(t).Work(b, p.Attention, p.DType)); b.Cost != want {
			t.Errorf("%s costs %s, want %s of the file", bucketText(b), b.Cost, want)
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
		if _, err := parseConfig([]string{"--model", "m", "--price", file}, environment(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--price") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	for want, line := range map[string]string{"--out": "calibrate --model-path m", "--model-path": "calibrate --out x", "--dtype": "calibrate --out x --model-path m --dtype int8"} {
		var stderr bytes.Buffer
		if status := run(t.Context(), strings.Fields(line), environment(), &stderr, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: status %d, %s", line, status, stderr.String())
		}
	}
}

// TestSampleBuckets: few shapes, of few and of many tokens, without a prefix and with the shortest and a long one.
func TestSampleBuckets(t *testing.T) {
	cpu, _ := target.Named("cpu-avx2")
	var got []string
	for _, b := range sampleBuckets(cpu.Ladders[target.Native](8192)) {
		got = append(got, bucketText(b))
	}
	want := "16x1x16x0 128x1x128x0 320x1x320x0 1024x1x1024x0 64x16x8x128 128x12x32x128 256x64x8x128 512x6x128x128 64x16x8x2048 128x12x32x2048 256x64x8x2048 512x6x128x2048"
	if strings.Join(got, " ") != want {
		t.Errorf("samples %v, want %s", got, want)
	}
}
