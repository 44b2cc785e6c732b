// Package kvcache tests the KV cache of an engine on the CPU plugin: the cache stays in
// its place, takes memory only where it is used, and changes no score.
package kvcache

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score/plan"
	"scored/tests/rounding"
)

func config() checkpoint.Config {
	return checkpoint.Config{HiddenSize: 64, Layers: 4, Heads: 4, KVHeads: 2, HeadDim: 16, IntermediateSize: 96, VocabSize: 512,
		RopeTheta: 1e6, RMSEps: 1e-6, QKNorm: true, TieEmbeddings: true, MaxPositions: 4096}
}

func buckets() []plan.Bucket {
	return []plan.Bucket{{Tokens: 128, Rows: 8, Length: 64, Cost: 1}, {Tokens: 128, Rows: 8, Length: 64, Context: 256, Cost: 2}}
}

// open returns the CPU plugin and an engine on it with generated weights.
func open(t *testing.T, options pjrt.Options, how model.Options) (*pjrt.Plugin, *model.Engine) {
	t.Helper()
	return openOn(t, options, how, checkpoint.Generate(config(), 1))
}

func openOn(t *testing.T, options pjrt.Options, how model.Options, weights checkpoint.Source) (*pjrt.Plugin, *model.Engine) {
	t.Helper()
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("%s; run `make setup`", strings.TrimSpace(err.Error()))
	}
	if how.Splicer == nil {
		how.Splicer = model.NewSplicer(config())
	}
	how.Buckets = buckets()
	options.Rewrite, options.CacheDir = how.Splicer.Rewrite, "../../.cache/compile"
	p, err := pjrt.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, engineOn(t, p, how, weights)
}

func engineOn(t *testing.T, p *pjrt.Plugin, how model.Options, weights checkpoint.Source) *model.Engine {
	t.Helper()
	e, err := model.New(t.Context(), p.Backend(), config(), weights, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func tokens(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*7919 + i*i*31 + i*104729) % 512)
	}
	return ids
}

func slots(first, n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(first + i)
	}
	return all
}

func row(prefix, shared int, query []int32, seed int) plan.Row {
	return plan.Row{Tokens: append(slices.Clone(query), tokens(seed, 3+seed%40)...), Prefix: prefix, Shared: shared, Labels: []int32{3, 500, 77}}
}

func run(t *testing.T, e *model.Engine, step *plan.Step) [][]float32 {
	t.Helper()
	pending, err := e.Run(step)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := pending.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// TestStaysInItsPlace: a program that gets the cache returns it in the same memory,
// without a copy. The process grows with the used part of the cache, not with its size.
func TestStaysInItsPlace(t *testing.T) {
	const bytes = 2 << 30
	began := resident(t, "VmRSS")
	p, e := open(t, pjrt.Options{}, model.Options{DType: dtypes.Float32, PrefixCacheBytes: bytes})
	layer := int64(bytes / config().Layers)
	if pages := int64(e.Pages()) * int64(config().Layers) * plan.PageTokens * 2 * 2 * 16 * 4; pages > bytes || pages < bytes*9/10 {
		t.Fatalf("%d pages have %d bytes, want %d", e.Pages(), pages, bytes)
	}
	onCache := 0
	for _, program := range p.Programs() {
		if c := program.Cost; strings.HasPrefix(program.Name, "layer_") && !strings.HasSuffix(program.Name, "_c0") {
			onCache++
			if c.AliasBytes < layer*9/10 || c.OutputBytes-c.AliasBytes > layer/100 || c.TempBytes > layer/100 {
				t.Errorf("program %s gives %d bytes, %d of them in their place, and needs %d more; the cache has %d", program.Name, c.OutputBytes, c.AliasBytes, c.TempBytes, layer)
			}
		}
	}
	if onCache != 1 {
		t.Errorf("%d programs have a cache, want 1", onCache)
	}
	resetPeak(t)
	query := tokens(1, 60)
	end := e.Pages()*plan.PageTokens - 60
	for i := range 6 {
		at := slots(i*(end/5), 60)
		step := &plan.Step{Bucket: buckets()[1], Prefixes: []plan.Prefix{{Slots: at, New: query}}, Rows: []plan.Row{row(0, 60, query, i)}}
		first := run(t, e, step)
		step.Prefixes[0].New = nil
		closeTo(t, "kept", float32s(), run(t, e, step), first)
	}
	if grown := resident(t, "VmHWM") - began; grown > layer/2 {
		t.Errorf("the process grew by %d MB at most; a layer's cache has %d, all of it %d", grown>>20, layer>>20, bytes>>20)
	}
}

// TestSharesAndKeeps: a row on a prefix scores as it does alone, for every dtype, every
// way to queue and every way to write the cache. Prefixes are new or kept, two are in one
// step, one continues another, and two steps are queued.
func TestSharesAndKeeps(t *testing.T) {
	for name, c := range ways() {
		t.Run(name, func(t *testing.T) {
			_, e := open(t, c.options, c.how)
			sharesAndKeeps(t, e, c.rule)
		})
	}
}

func sharesAndKeeps(t *testing.T, e *model.Engine, rule rounding.Rule) {
	query, other := tokens(1, 40), tokens(2, 25)
	longer := append(slices.Clone(query), tokens(3, 11)...)
	steps := map[string]*plan.Step{}
	var order []string
	add := func(name string, prefixes []plan.Prefix, rows ...plan.Row) {
		steps[name] = &plan.Step{Bucket: buckets()[1], Prefixes: prefixes, Rows: rows}
		order = append(order, name)
	}
	at := slots(110, 40) // over a page's end
	add("new", []plan.Prefix{{Slots: at, New: query}}, row(0, 40, query, 4), row(0, 40, query, 5))
	add("kept, beside a new one", []plan.Prefix{{Slots: at}, {Slots: slots(3, 25), New: other}}, row(1, 25, other, 6), row(0, 40, query, 7), row(0, 0, query, 4))
	add("grown", []plan.Prefix{{Slots: append(slices.Clone(at), slots(50, 11)...), New: longer[40:]}}, row(0, 51, longer, 8), row(0, 40, query, 9))
	add("both new", []plan.Prefix{{Slots: slots(0, 40), New: query}, {Slots: slots(0, 51), New: longer[40:]}}, row(0, 40, query, 4), row(1, 51, longer, 8))
	add("kept", []plan.Prefix{{Slots: slots(0, 51)}, {Slots: at}}, row(1, 40, query, 5), row(0, 51, longer, 8))

	got := map[string]plan.Pending{}
	for i, name := range order { // one step is always queued behind another
		pending, err := e.Run(steps[name])
		if err != nil {
			t.Fatal(err)
		}
		got[name] = pending
		if i > 0 {
			compare(t, e, order[i-1], steps[order[i-1]], got[order[i-1]], rule)
		}
	}
	last := order[len(order)-1]
	compare(t, e, last, steps[last], got[last], rule)
}

// compare compares a step's answers with those of its rows, each alone.
func compare(t *testing.T, e *model.Engine, name string, step *plan.Step, pending plan.Pending, rule rounding.Rule) {
	t.Helper()
	got, err := pending.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range step.Rows {
		r.Shared = 0
		want := run(t, e, &plan.Step{Bucket: buckets()[0], Rows: []plan.Row{r}})
		closeTo(t, fmt.Sprintf("%s, row %d", name, i), rule, got[i:i+1], want)
	}
}

func shape() rounding.Shape {
	c := config()
	return rounding.Shape{Layers: c.Layers, Hidden: c.HiddenSize, Heads: c.Heads * c.HeadDim, MLP: c.IntermediateSize, Vocab: c.VocabSize}
}

func float32s() rounding.Rule { return shape().Float32().Both() }

func closeTo(t *testing.T, what string, rule rounding.Rule, got, want [][]float32) {
	t.Helper()
	for i := range want {
		for k := range want[i] {
			if off := math.Abs(float64(got[i][k] - want[i][k])); !(off <= rule.Logprob(float64(want[i][k]))) {
				t.Errorf("%s: label %d is %v, want %v", what, k, got[i][k], want[i][k])
			}
		}
	}
}

// resident reads the process's memory, now (VmRSS) or at most (VmHWM), in bytes.
func resident(t *testing.T, field string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("memory cannot be read: %v", err)
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	kilobytes, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// resetPeak makes VmHWM what VmRSS is.
func resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("peak memory cannot be reset: %v", err)
	}
}
