// Package golden compares scores with those of Hugging Face transformers on the same
// weights, in float64. The JSON files beside it hold the numbers and say how they were
// made; generate.py makes them. Package rounding has the bounds.
package golden

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/score/plan"
	"scored/score/scoretest"
	"scored/target"
)

type vectors struct {
	Seed     uint64
	Config   json.RawMessage
	Cases    []goldenCase
	Requests []goldenRequest
}

type goldenCase struct {
	Name     string
	Tokens   []int64
	Labels   []int64
	Logprobs []float64
}

type goldenRequest struct {
	Name      string
	Query     []int64
	Items     [][]int64
	ItemFirst bool `json:"item_first"`
	Labels    []int64
	Logprobs  [][]float64
	Softmax   [][]float64
}

// TestTinyInPureGo is left to `make golden`: package model's tests use this backend too.
func TestTinyInPureGo(t *testing.T) {
	skipIfShort(t)
	backend, err := gobackend.New("ops_sequential") // side by side, many products wait for each other's workers for ever
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	compare(t, device{Backend: backend}, "narrow", model.Options{DType: dtypes.Float32}) // the smallest: pure Go is slow
}

// TestTinyQueued queues executions, as an accelerator does.
func TestTinyQueued(t *testing.T) {
	for name, o := range map[string]model.Options{
		"loops": {}, "no loops": {Scatter: true}, "all layers in a program, no loops": {Group: 3, Scatter: true},
	} {
		t.Run(name, func(t *testing.T) {
			o.DType, o.Buckets = dtypes.Float32, fewBuckets()
			compare(t, pluginWith(t, pjrt.Options{Async: true}), "tiny", o)
		})
	}
	t.Run("all layers in a program, by the kernels' formula", func(t *testing.T) {
		compare(t, pluginWith(t, pjrt.Options{Async: true}), "llama2", model.Options{DType: dtypes.Float32, Formula: true, Group: 2, Scatter: true})
	})
}

func TestTinyOnPlugin(t *testing.T) {
	backend := plugin(t)
	t.Run("tiny", func(t *testing.T) { compare(t, backend, "tiny", model.Options{DType: dtypes.Float32}) })
	for _, name := range []string{"untied", "narrow", "qwen2", "llama", "llama2"} {
		t.Run(name, func(t *testing.T) {
			compare(t, backend, name, model.Options{DType: dtypes.Float32, Buckets: fewBuckets()})
		})
	}
}

func TestFullSize(t *testing.T) {
	backend := plugin(t)
	t.Run("float32", func(t *testing.T) {
		skipIfShort(t) // tests/e2e has it, through the binary
		compare(t, backend, "full", model.Options{DType: dtypes.Float32})
	})
	t.Run("attention by the kernels' formula", func(t *testing.T) {
		skipIfShort(t)
		compare(t, backend, "full", model.Options{DType: dtypes.Float32, Formula: true})
	})
	t.Run("bfloat16 weights, float32 products", func(t *testing.T) {
		skipIfShort(t)
		compare(t, backend, "full", model.Options{DType: dtypes.BFloat16, Products: dtypes.Float32})
	})
}

// skipIfShort leaves to `make golden` what takes a quarter of a minute more.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("make golden runs it")
	}
}

// TestBFloat16Products multiplies in bfloat16, as an accelerator does. The full-size
// model takes a quarter of a minute for each way to attend, so `make golden` runs it.
func TestBFloat16Products(t *testing.T) {
	names := []string{"llama2"}
	if !testing.Short() {
		names = append(names, "full")
	}
	for _, name := range names {
		for way, options := range acceleratorOptions() {
			t.Run(name+", "+way, func(t *testing.T) { compare(t, plugin(t), name, options) })
		}
	}
}

// TestOnDevice runs the same on the device of the plugin that SCORED_GOLDEN_PLUGIN names,
// such as a TPU's. The vectors are those of the full-size model, or of the model that
// SCORED_GOLDEN_VECTORS names.
func TestOnDevice(t *testing.T) {
	onDevice(t, func(t *testing.T, on device, name string, options model.Options) { compare(t, on, name, options) })
}

// TestContractOnDevice holds an engine on that device to the Engine's contract.
func TestContractOnDevice(t *testing.T) {
	onDevice(t, func(t *testing.T, on device, name string, options model.Options) {
		v, cfg := read(t, name)
		options.Splicer, options.Buckets, options.PrefixCacheBytes = on.splicer, bucketsFor(options), cacheBytes(cfg)
		engine, err := model.New(t.Context(), on.Backend, cfg, checkpoint.Generate(cfg, v.Seed), options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := engine.Close(); err != nil {
				t.Error(err)
			}
		})
		rule := newChecker(cfg, options).rule.Both()
		scoretest.Run(t, engine, scoretest.Options{Vocab: int32(cfg.VocabSize), Near: func(got, want []float32) bool {
			for i := range want {
				if !(math.Abs(float64(got[i]-want[i])) <= rule.Logprob(float64(want[i]))) {
					return false
				}
			}
			return true
		}})
	})
}

// onDevice runs a test with each way to attend on the device of SCORED_GOLDEN_PLUGIN.
func onDevice(t *testing.T, test func(t *testing.T, on device, name string, options model.Options)) {
	path, vectors := os.Getenv("SCORED_GOLDEN_PLUGIN"), cmp.Or(os.Getenv("SCORED_GOLDEN_VECTORS"), "full")
	if path == "" {
		t.Skip("SCORED_GOLDEN_PLUGIN names no plugin")
	}
	_, cfg := read(t, vectors)
	for name, options := range acceleratorOptions() {
		t.Run(name, func(t *testing.T) {
			row := rowOf(t, path)
			splicer := model.NewSplicer(cfg)
			plugin := open(t, path, pjrt.Options{Async: true, Compile: row.Options, Rewrite: splicer.Rewrite})
			options.Scatter, options.Group = row.HostLoops, row.Group // as a server has them there
			if options.Formula {
				switch row.Platform {
				case "tpu":
					options.Kernels = model.TPUKernels()
				case "cuda":
					options.Kernels = model.GPUKernels(row.SharedMemory)
				default:
					t.Skipf("there are no kernels for a %s", row.Platform)
				}
				options.Formula = false
			}
			test(t, device{plugin.Backend(), splicer}, vectors, options)
		})
	}
}

// rowOf returns the row of a plugin's device. The row has the options of XLA that the
// plugin must be opened with.
func rowOf(t *testing.T, path string) target.Target {
	t.Helper()
	plugin, err := pjrt.Open(path, pjrt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	info := plugin.Info()
	if err := plugin.Close(); err != nil {
		t.Fatal(err)
	}
	row, ok := target.Find(info.Platform, info.Devices[0])
	if !ok {
		t.Fatalf("there is no row for %+v", info)
	}
	return row
}

// acceleratorOptions are those of a TPU, with the kernels' formula in place of the
// kernels.
func acceleratorOptions() map[string]model.Options {
	return map[string]model.Options{
		"kernels": {DType: dtypes.BFloat16, Formula: true},
		"native":  {DType: dtypes.BFloat16},
	}
}

// compare scores every case and request of a file through the Scorer and an Engine on the
// backend.
func compare(t *testing.T, on device, name string, options model.Options) {
	v, cfg := read(t, name)
	options.Splicer = on.splicer
	options.PrefixCacheBytes = cacheBytes(cfg)
	if options.Buckets == nil {
		options.Buckets = bucketsFor(options)
	}
	scorer := newScorer(t, on.Backend, nil, cfg, v.Seed, options)
	within := newChecker(cfg, options)
	for _, c := range v.Cases {
		c.request().check(t, scorer, within)
	}
	for _, r := range v.Requests {
		r.check(t, scorer, within)
	}
	within.log(t)
}

// cacheBytes is a KV cache of 4,096 tokens. A larger one takes longer to fill with zeros
// than a small model takes to score.
func cacheBytes(cfg checkpoint.Config) int64 {
	return 4096 / plan.PageTokens * model.MemoryOf(cfg, model.Options{DType: dtypes.Float32}).Page
}

func bucketsFor(options model.Options) []score.Bucket {
	if options.Kernels.Any() || options.Formula {
		return kernelBuckets()
	}
	return buckets()
}

// request returns a request that has the case as an item and no query.
func (c goldenCase) request() goldenRequest {
	return goldenRequest{Name: c.Name, Query: []int64{}, Items: [][]int64{c.Tokens}, Labels: c.Labels, Logprobs: [][]float64{c.Logprobs}}
}

func buckets() []score.Bucket {
	return []score.Bucket{
		{Tokens: 64, Rows: 1, Length: 64, Cost: 70},
		{Tokens: 128, Rows: 1, Length: 128, Cost: 135},
		{Tokens: 128, Rows: 8, Length: 64, Cost: 140},
		{Tokens: 320, Rows: 1, Length: 320, Cost: 330},
		{Tokens: 128, Rows: 8, Length: 64, Context: 128, Cost: 150},
		{Tokens: 256, Rows: 8, Length: 64, Context: 2048, Cost: 600},
	}
}

// fewBuckets compile in half the time, and can do all that buckets can.
func fewBuckets() []score.Bucket {
	return []score.Bucket{
		{Tokens: 64, Rows: 1, Length: 64, Cost: 70},
		{Tokens: 320, Rows: 8, Length: 320, Cost: 330},
		{Tokens: 256, Rows: 8, Length: 64, Context: 2048, Cost: 600},
	}
}

func kernelBuckets() []score.Bucket {
	return []score.Bucket{
		{Tokens: 128, Rows: 8, Length: 128, Cost: 135},
		{Tokens: 384, Rows: 8, Length: 384, Cost: 400},
		{Tokens: 128, Rows: 8, Length: 128, Context: 128, Cost: 150},
		{Tokens: 256, Rows: 8, Length: 256, Context: 2048, Cost: 600},
	}
}

// newScorer returns a Scorer of prompts shorter than 2,048 tokens with generated weights.
// It is closed when the test ends.
func newScorer(t *testing.T, backend compute.Backend, words score.Encoder, cfg checkpoint.Config, seed uint64, options model.Options) *score.Scorer {
	t.Helper()
	return scorerOf(t, backend, words, cfg, checkpoint.Generate(cfg, seed), options)
}

func scorerOf(t *testing.T, backend compute.Backend, words score.Encoder, cfg checkpoint.Config, weights checkpoint.Source, options model.Options) *score.Scorer {
	t.Helper()
	engine, err := model.New(t.Context(), backend, cfg, weights, options)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: 2048, Classes: score.Classes{Names: cfg.Classes, Activation: score.Activation(cfg.Activation)}}, words, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		scorer.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return scorer
}

// check scores the request twice, cold and with its prefix on the device. The second time
// it asks for a softmax, so a request without expected ones is scored once.
func (r goldenRequest) check(t *testing.T, scorer *score.Scorer, within *checker) {
	t.Helper()
	for _, softmax := range []bool{false, true} {
		if softmax && r.Softmax == nil {
			continue
		}
		req := &score.Request{Query: score.Part{IsTokens: true, Tokens: r.Query}, ItemFirst: r.ItemFirst, Softmax: softmax, Logprobs: !softmax}
		for _, item := range r.Items {
			req.Items = append(req.Items, score.Part{IsTokens: true, Tokens: item})
		}
		for _, label := range r.Labels {
			req.Labels = append(req.Labels, score.Label{ID: label})
		}
		result, err := scorer.Score(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		for i := range r.Items {
			for k := range r.Labels {
				if softmax {
					within.score(t, r.where(i, k), result.Scores[i][k], r.Softmax[i][k])
				} else {
					within.logprob(t, r.where(i, k), result.Logprobs[i][k], r.Logprobs[i][k])
				}
			}
		}
	}
}

func (r goldenRequest) where(item, label int) string {
	return fmt.Sprintf("%s: item %d label %d", r.Name, item, label)
}

func read(t *testing.T, name string) (v vectors, cfg checkpoint.Config) {
	t.Helper()
	readJSON(t, name, &v)
	return v, configOf(t, v.Config)
}

// readJSON reads a file of vectors, whose name ends in .json.
func readJSON(t *testing.T, name string, to any) {
	t.Helper()
	data, err := os.ReadFile(name + ".json")
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// configOf reads a config.json.
func configOf(t *testing.T, config json.RawMessage) checkpoint.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/config.json", config, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := checkpoint.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// plugin opens the CPU plugin that `make setup` fetches.
func plugin(t *testing.T) device { return pluginWith(t, pjrt.Options{}) }

// device is a backend with the splicer that rewrites its programs. The splicer is nil in
// pure Go, which takes no text.
type device struct {
	compute.Backend
	splicer *model.Splicer
}

func pluginWith(t *testing.T, options pjrt.Options) device {
	t.Helper()
	splicer := model.NewSplicer(checkpoint.Config{}) // without kernels no matter of the model
	options.Rewrite = splicer.Rewrite
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("%s; run `make setup`", strings.TrimSpace(err.Error()))
	}
	options.CacheDir = "../../.cache/compile"
	return device{open(t, path, options).Backend(), splicer}
}

func open(t *testing.T, path string, options pjrt.Options) *pjrt.Plugin {
	t.Helper()
	p, err := pjrt.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
