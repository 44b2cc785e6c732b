package golden

import (
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/score"
)

// stepsByDevice is an Observer that counts steps.
type stepsByDevice struct {
	mu    sync.Mutex
	steps map[int]int
}

func (o *stepsByDevice) Observe(span score.Span) {
	if span.Stage == score.StageStep {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.steps[span.Device]++
	}
}

// TestReplicas: two devices of one plugin serve one queue, and every score is that of
// transformers.
func TestReplicas(t *testing.T) {
	v, cfg := read(t, "tiny")
	backend := pluginWith(t, pjrt.Options{Client: map[string]any{"cpu_device_count": int64(2)}})
	if n := backend.NumDevices(); n != 2 {
		t.Fatalf("plugin has %d devices, want 2", n)
	}
	var engines []score.Engine
	for device := range 2 {
		engine, err := model.New(t.Context(), backend.Backend, cfg, checkpoint.Generate(cfg, v.Seed),
			model.Options{DType: dtypes.Float32, Buckets: buckets(), PrefixCacheBytes: cacheBytes(cfg), Device: device, Splicer: backend.splicer})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := engine.Close(); err != nil {
				t.Error(err)
			}
		}()
		engines = append(engines, engine)
	}
	within := newChecker(cfg, model.Options{DType: dtypes.Float32})
	seen := &stepsByDevice{steps: map[int]int{}}
	scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: 2048, Observer: seen}, nil, engines...)
	if err != nil {
		t.Fatal(err)
	}
	defer scorer.Close()
	t.Run("requests", func(t *testing.T) { // returns when all of its parallel parts have
		for _, r := range v.Requests {
			t.Run(r.Name, func(t *testing.T) { t.Parallel(); r.check(t, scorer, within) })
		}
		for _, c := range v.Cases {
			r := goldenRequest{Name: c.Name, Query: []int64{}, Items: [][]int64{c.Tokens}, Labels: c.Labels, Logprobs: [][]float64{c.Logprobs}}
			t.Run(r.Name, func(t *testing.T) { t.Parallel(); r.check(t, scorer, within) })
		}
	})
	within.log(t)
	if len(seen.steps) != 2 {
		t.Errorf("steps by device: %v; both must have work", seen.steps)
	}
}
