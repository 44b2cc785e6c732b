package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/target"
)

func TestCompileFlags(t *testing.T) {
	for line, want := range map[string]string{
		"--load-format dummy": "--out",
		"--out x":             "--model-path",
		"--load-format dummy --out x --dtype int8":           "--dtype",
		"--load-format dummy --out x --attention-backend no": "--attention-backend",
		"--load-format dummy --out x --buckets 1x2":          "--buckets",
		"--load-format dummy --out x --workloads 21x8":       "QUERY+ITEMxITEMS",
		"--load-format dummy --out x --workloads 0+21x0":     "QUERY+ITEMxITEMS",
		"--load-format dummy --out x --workloads 0+21x8x9":   "QUERY+ITEMxITEMS",
		"--load-format dummy --out x word":                   "word",
		"--load-format dummy --out x --max-queue 9":          "max-queue",
		"--load-format dummy --out x --context-length no":    "context-length",
		"--load-format dummy --out x --topology v6e:2xx":     "flag --topology",
		"--load-format dummy --out x --topology v6e:4":       "flag --topology",
		"--load-format dummy --out /dev/null":                "flag --out: mkdir /dev/null",
		"--load-format dummy --topology cuda:h900":           "cuda:h100",
		"--load-format dummy --topology cuda:h100 --out x":   "--out",
		"--topology cuda:h100":                               "--model-path",
	} {
		var stderr bytes.Buffer
		if status := run(t.Context(), append([]string{"compile"}, strings.Fields(line)...), environment(), io.Discard, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("compile %s ends with status %d and says %q, want 2 and %q", line, status, stderr.String(), want)
		}
	}
}

func TestStepsOfWorkloads(t *testing.T) {
	w := map[string]load{}
	for _, one := range loads() {
		w[one.name()] = one
	}
	for _, c := range []struct {
		load         string
		bucket       score.Bucket
		steps, items int
	}{
		{"w1", score.Bucket{Tokens: 1024, Rows: 6, Length: 320}, 1, 3},
		{"w1", score.Bucket{Tokens: 1024, Rows: 6, Length: 256}, 0, 0},                        // a row is too long
		{"w2", score.Bucket{Tokens: 2048, Rows: 12, Length: 256, Context: 128}, 1, 10},        // 120 + 10·180 tokens
		{"w2", score.Bucket{Tokens: 1024, Rows: 6, Length: 256, Context: 128}, 2, 10},         // 120 + 5·180, 5·180
		{"w3", score.Bucket{Tokens: 2048, Rows: 96, Length: 32, Context: 2048}, 7, 500},       // 2000 + 2·20, then 96 rows a step
		{"w3", score.Bucket{Tokens: 1024, Rows: 48, Length: 32, Context: 2048}, 13, 500},      // 1024, 976 + 2·20, then 48
		{"w3 kept", score.Bucket{Tokens: 1024, Rows: 64, Length: 32, Context: 2048}, 10, 500}, // 51 rows fill 1024 tokens
		{"w3", score.Bucket{Tokens: 1024, Rows: 64, Length: 32, Context: 512}, 0, 0},          // the prefix is too long
	} {
		if steps, items := w[c.load].steps(c.bucket); steps != c.steps || items != c.items {
			t.Errorf("%s takes %d steps of %+v for %d items, want %d for %d", c.load, steps, c.bucket, items, c.steps, c.items)
		}
	}
}

// TestReportLoads: a load goes to the bucket whose steps answer it soonest.
func TestReportLoads(t *testing.T) {
	loads, err := parseLoads("0+21x8,0+21x1024,70+22x8,9000+1x1")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = reportLoads(&out, loads, []stepTime{
		{score.Bucket{Tokens: 256, Rows: 64, Length: 256}, 0.5e-3, 1e-3},
		{score.Bucket{Tokens: 2048, Rows: 512, Length: 2048}, 2e-3, 5e-3},
		{score.Bucket{Tokens: 256, Rows: 64, Length: 256, Context: 128}, 0.5e-3, 2e-3}, // 70 + 8·22 tokens
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"workload bucket steps estimate ms items/s bound items/s",
		"0+21x8 256x64x256x0 1 1.00 8000 16000",
		"0+21x1024 2048x512x2048x0 11 55.00 18618 46545", // 97 in a step
		"70+22x8 256x64x256x128 1 2.00 4000 16000",
		"70+22x8 kept 256x64x256x128 1 2.00 4000 16000",
		"9000+1x1 none holds it - - - -",
		"9000+1x1 kept none holds it - - - -",
	} {
		if got := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}

// kernelModel is a folder with the config.json of a small model whose heads kernels
// take.
func kernelModel(t *testing.T) string {
	t.Helper()
	var config map[string]any
	text, err := os.ReadFile("../../tests/models/tiny/config.json")
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"] = 128, 4, 2
	text, err = json.Marshal(config)
	dir := t.TempDir()
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestProgramsCallKernels: the programs for a TPU or GPU call both kernels where there
// are any for the model, unless told not to.
func TestProgramsCallKernels(t *testing.T) {
	for line, want := range map[string]map[string]int{
		"--model-path " + kernelModel(t):                                                 {"layer_t256_l64_c0": 2, "layer_t256_l64_c128": 2, "check_t256_c0": 2, "check_t256_c128": 2},
		"--attention-backend native --model-path " + kernelModel(t):                      {"layer_t256_l64_c0": 0, "layer_t256_l64_c128": 0},
		"--dtype float32 --model-path " + kernelModel(t):                                 {"layer_t256_l64_c0": 0, "layer_t256_l64_c128": 0},
		"--model-path ../../tests/models/tiny":                                           {"layer_t256_l64_c0": 0, "layer_t256_l64_c128": 0}, // heads of another size
		"--topology cuda:l4 --model-path " + kernelModel(t):                              {"layers2_t256_l64_c0": 4, "layers2_t256_l64_c128": 4, "check_t256_c0": 2, "check_t256_c128": 2},
		"--topology cuda:h100 --attention-backend native --model-path " + kernelModel(t): {"layers2_t256_l64_c0": 0, "layers2_t256_l64_c128": 0},
	} {
		call := "__gpu$xla.gpu.triton"
		if !strings.Contains(line, "cuda") {
			line, call = line+" --out "+t.TempDir(), "tpu_custom_call"
		}
		c, err := parseCompile(append(strings.Fields(line), "--plugin-dir", "../../.cache/plugins", "--offline",
			"--context-length", "128", "--buckets", "256x8x64x0,256x8x64x128"), environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		start := c.start()
		defer start.Close()
		cfg, err := start.Shape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		options, _, err := start.Device.EngineOptions(cfg)
		if err != nil {
			t.Fatal(err)
		}
		programs, err := capture(t.Context(), start, cfg, options)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got := map[string]int{}
		for _, p := range programs {
			name, _, _ := strings.Cut(strings.TrimPrefix(string(p.text), "module @"), " ")
			if strings.HasPrefix(name, "layer") || strings.HasPrefix(name, "check") {
				got[name] = strings.Count(string(p.text), call)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: calls of kernels %v, want %v", line, got, want)
		}
	}
}

// captureTiny gives the programs that `scored compile` makes of the tiny model, and
// what they are made from.
func captureTiny(t *testing.T, more ...string) (checkpoint.Config, model.Options, []captured) {
	t.Helper()
	args := []string{"--model-path", "../../tests/models/tiny", "--out", t.TempDir(), "--plugin-dir", "../../.cache/plugins", "--offline",
		"--context-length", "32", "--buckets", "32x2x16x0,32x4x16x32"}
	c, err := parseCompile(append(args, more...), environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	start := c.start()
	defer start.Close()
	cfg := tinyShape(t)
	options, _, err := start.Device.EngineOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := capture(t.Context(), start, cfg, options)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, options, programs
}

// TestProductsNameNoAlgorithm: products of bfloat16 leave the algorithm to the device.
// A GPU refuses one of float32 operands for them.
func TestProductsNameNoAlgorithm(t *testing.T) {
	_, _, programs := captureTiny(t, "--dtype", "bfloat16")
	products := 0
	for _, p := range programs {
		text := string(p.text)
		products += strings.Count(text, "dot_general")
		if strings.Contains(text, "dot_algorithm") || strings.Contains(text, "algorithm") {
			name, _, _ := strings.Cut(strings.TrimPrefix(text, "module @"), " ")
			t.Errorf("program %s names an algorithm", name)
		}
	}
	if products == 0 {
		t.Error("no program has a product")
	}
}

// TestCompileTakesWhatServeCompiles: the compile cache is keyed by a program's text and
// options, so what is compiled ahead is found only if both are to the byte what an
// engine with the same flags hands to its plugin.
func TestCompileTakesWhatServeCompiles(t *testing.T) {
	const folder = "../../.cache/plugins"
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: folder, Offline: true})
	if err != nil {
		t.Fatalf("run `make setup` first: %v", err)
	}
	cfg, options, taken := captureTiny(t)

	var served []captured
	options.Splicer = model.NewSplicer(cfg)
	plugin, err := pjrt.Open(path, pjrt.Options{Rewrite: options.Splicer.Rewrite, Capture: func(_ string, text, options []byte) {
		served = append(served, captured{slices.Clone(text), slices.Clone(options)})
	}})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := model.New(t.Context(), plugin.Backend(), cfg, checkpoint.Generate(cfg, 1), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(engine.Close(), plugin.Close()); err != nil {
		t.Error(err)
	}
	same := func(a, b captured) bool { return bytes.Equal(a.text, b.text) && bytes.Equal(a.options, b.options) }
	if len(served) == 0 || !slices.EqualFunc(taken, served, same) {
		t.Errorf("compile takes %d programs, which are not the %d that serve compiles", len(taken), len(served))
	}
}

// TestCompileForTPU compiles a model of two layers for a TPU that is not there.
func TestCompileForTPU(t *testing.T) {
	library := os.Getenv("SCORED_TEST_LIBTPU")
	if library == "" {
		t.Skip("SCORED_TEST_LIBTPU does not name libtpu.so; run `make tpu-compile`")
	}
	t.Run("by graph", func(t *testing.T) { compileForTPU(t, library, "../../tests/models/tiny", "64x1x64x0", "256x12x32x128") })
	t.Run("by kernels", func(t *testing.T) {
		compileForTPU(t, library, kernelModel(t), "256x64x256x0", "512x64x512x128", "128x16x128x2048", "256x64x256x40960")
	})
}

// TestCompileForCUDA compiles a model of two layers for cards that are not there:
// kernels are in every layer, and what the table says of them is what the optimized
// programs show.
func TestCompileForCUDA(t *testing.T) {
	library := os.Getenv("SCORED_TEST_CUDA")
	if library == "" {
		t.Skip("SCORED_TEST_CUDA does not name the CUDA plugin; run `make cuda-compile`")
	}
	for card, buckets := range map[string]string{
		"cuda:h100": "256x64x256x0,256x64x256x128,128x16x128x40960", "cuda:l4": "256x64x256x128", "cuda:a100": "256x64x256x128",
		"cuda:b200": "256x64x256x128", "cuda:h200": "256x64x256x128",
	} {
		t.Run(card, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := []string{"compile", "--topology", card, "--model-path", kernelModel(t), "--plugin", library, "--plugin-dir", "../../.cache/plugins",
				"--offline", "--buckets", buckets}
			if status := run(t.Context(), args, environment(), &stdout, &stderr); status != 0 {
				t.Fatalf("status %d: %s", status, stderr.String())
			}
			t.Logf("\n%s", stdout.String())
			lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
			if want := 2 + strings.Count(buckets, "x")/3; len(lines) != want {
				t.Fatalf("%d lines, want %d", len(lines), want)
			}
			var weights, cache, most, pool float64 // MiB
			if _, err := fmt.Sscanf(lines[len(lines)-1], "memory: weights %f MiB, KV cache %f, steps at most %f, of %f for programs", &weights, &cache, &most, &pool); err != nil {
				t.Fatalf("%q: %v", lines[len(lines)-1], err)
			}
			if weights+cache+most > pool {
				t.Errorf("plan does not fit: %s", lines[len(lines)-1])
			}
			for _, line := range lines[1 : len(lines)-1] {
				if temporary, err := strconv.ParseFloat(strings.Fields(line)[4], 64); err != nil || temporary*1e6 > most*(1<<20) {
					t.Errorf("line %q: temporaries are more than the %v MiB planned", line, most)
				}
				fields := strings.Fields(line)
				all, err := strconv.ParseFloat(fields[5], 64)
				products, productsErr := strconv.ParseFloat(fields[6], 64)
				moved, movedErr := strconv.ParseFloat(fields[7], 64)
				beside, besideErr := strconv.ParseFloat(fields[8], 64)
				shared, sharedErr := strconv.ParseFloat(fields[9], 64)
				attend, attendErr := strconv.Atoi(fields[10])
				keys, keysErr := strconv.Atoi(fields[11])
				spilled, spilledErr := strconv.Atoi(fields[12])
				if err := errors.Join(err, productsErr, movedErr, besideErr, sharedErr, attendErr, keysErr, spilledErr); err != nil {
					t.Fatal(err)
				}
				// A thread has at most 255 registers. Attend holds scores and outputs in them;
				// what spills would go through memory for each block of keys.
				if attend <= keys || attend > 255 || keys < 16 || spilled != 0 {
					t.Errorf("line %q: %d and %d registers, %d bytes spilled", line, attend, keys, spilled)
				}
				// A layer has four products, two kernels of attention, and norms and the like
				// beside them.
				if products != 4 || all < 8 || all > 20 || beside <= 0 || beside >= moved || shared <= 0 || shared > 227 {
					t.Errorf("line %q: %v kernels, %v of them products, %v of %v MB moved beside those, %v KiB of shared memory", line, all, products, beside, moved, shared)
				}
			}
		})
	}
}

func compileForTPU(t *testing.T, library, folder string, buckets ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "programs")
	args := []string{"compile", "--model-path", folder, "--plugin", library, "--plugin-dir", "../../.cache/plugins", "--offline",
		"--out", dir, "--buckets", strings.Join(buckets, ",")}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), args, environment(), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	t.Logf("\n%s", stdout.String())
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != 1+len(buckets) {
		t.Fatalf("%d lines, want a heading and %d buckets", len(lines), len(buckets))
	}
	for i, bucket := range buckets {
		fields := strings.Fields(lines[i+1])
		accessed, err := strconv.ParseFloat(fields[2], 64)
		main, mainErr := strconv.ParseFloat(fields[3], 64)
		if fields[0] != bucket || err != nil || mainErr != nil || main <= 0 || main >= accessed {
			t.Errorf("line %q: want bucket %s, and less traffic with main memory than bytes accessed, but some", lines[i+1], bucket)
		}
		if estimate, err := strconv.ParseFloat(fields[10], 64); err != nil || estimate <= 0 {
			t.Errorf("line %q: want the compiler's estimate of a step's time", lines[i+1])
		}
	}
	entries, err := filepath.Glob(filepath.Join(dir, "*.executable"))
	if programs := strings.Count(stderr.String(), " in "); err != nil || programs == 0 || len(entries) != programs {
		t.Errorf("%d entries in the cache for %d programs: %v", len(entries), programs, err)
	}
}

// TestReportAhead: a step adds up its programs by how often it runs them.
func TestReportAhead(t *testing.T) {
	cfg, b := tinyShape(t), score.Bucket{Tokens: 64, Rows: 1, Length: 64}
	one := programCost{Cost: pjrt.Cost{Flops: 1e9, BytesAccessed: 4e9, TempBytes: 5e6, ArgumentBytes: 7e6, CodeBytes: 1e6}, traffic: 2e9, cycles: 1e6}
	costs := map[string]programCost{"embed_t64": one, "layer_t64_l64_c0": one, "last_t64": one, "head_r64_vfalse": one, "head_r64_vtrue": one}
	var out strings.Builder
	options := model.Options{Buckets: []score.Bucket{b}}
	if _, err := reportAhead(&out, target.Target{Peak: 1e12, Bandwidth: 1e12, Clock: 1e9}, cfg, options, costs); err != nil {
		t.Fatal(err)
	}
	// Two layers and three programs more: 5 GFLOP, 20 GB, 10 of them of main memory, 5
	// million cycles.
	got := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[1]), " ")
	if want := "64x1x64x0 5 20.00 10.00 7 5 4 5.00 20.00 10.00 5.00 - - - -"; got != want {
		t.Errorf("step is %q, want %q", got, want)
	}
	// Kernels, of which the compiler says nothing, count by themselves.
	out.Reset()
	cfg = checkpoint.Qwen3_0_6B()
	options = model.Options{Buckets: []score.Bucket{{Tokens: 256, Rows: 8, Length: 256, Context: 128}}, Kernels: model.TPUKernels()}
	if _, err := reportAhead(&out, target.Target{Peak: 1e12, Bandwidth: 1e12, Clock: 1e9}, cfg, options, nil); err != nil {
		t.Fatal(err)
	}
	want := strconv.FormatFloat(options.Kernels.Of(cfg).Cycles(options.Buckets[0])/1e6, 'f', 2, 64)
	if fields := strings.Fields(strings.Split(out.String(), "\n")[1]); fields[10] != want || want == "0.00" {
		t.Errorf("kernels take %s ms by estimate, want %s", fields[10], want)
	}
}

func tinyShape(t *testing.T) checkpoint.Config {
	t.Helper()
	cfg, err := checkpoint.LoadConfig("../../tests/models/tiny")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
