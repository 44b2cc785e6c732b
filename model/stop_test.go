package model

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model/checkpoint"
)

// TestNewStops: whenever ctx ends, New does no more work and returns ctx's error.
func TestNewStops(t *testing.T) {
	backend := pureGo(t)
	cfg := smallConfig()
	options := Options{DType: dtypes.Float32, Buckets: tinyBuckets(), PrefixCacheBytes: 1 << 20}
	var all []Stage
	options.Progress = func(stage Stage, done, total int64) {
		all = append(all, stage)
		if done < 1 || done > total {
			t.Errorf("stage %s is %d of %d", stage, done, total)
		}
	}
	engine, err := New(t.Context(), backend, cfg, checkpoint.Generate(cfg, 1), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	if all[0] != StageWeights || all[len(all)-1] != StageCompile {
		t.Fatalf("stages are %q", all)
	}
	for at := range all {
		ctx, cancel := context.WithCancel(t.Context())
		reports := 0
		options.Progress = func(Stage, int64, int64) {
			if reports++; reports == at+1 {
				cancel()
			}
		}
		engine, err := New(ctx, backend, cfg, checkpoint.Generate(cfg, 1), options)
		cancel()
		if at == len(all)-1 { // nothing was left to do
			if err != nil {
				t.Fatal(err)
			}
			if err := engine.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, context.Canceled) || engine != nil {
			t.Errorf("stopped after report %d: engine %v, error %v; want none and that of ctx", at+1, engine, err)
		}
		if reports != at+1 {
			t.Errorf("stopped after report %d, and there were %d", at+1, reports)
		}
	}
}

// cancelling ends a context when numbers are read.
type cancelling struct {
	checkpoint.Numbers
	cancel context.CancelFunc
	reads  *atomic.Int64
}

func (c cancelling) Float32s(dst []float32, from int) {
	c.reads.Add(1)
	c.cancel()
	c.Numbers.Float32s(dst, from)
}

// TestReadingStops: a large tensor is not read to its end.
func TestReadingStops(t *testing.T) {
	const pieces = 64
	ctx, cancel := context.WithCancel(t.Context())
	var reads atomic.Int64
	some, err := checkpoint.Generate(smallConfig(), 1).Tensor(checkpoint.NormName)
	if err != nil {
		t.Fatal(err)
	}
	spec := checkpoint.TensorSpec{Name: "large", Shape: []int{pieces, fillChunk}}
	tensor := checkpoint.Tensor{TensorSpec: spec, DType: dtypes.Float32, Numbers: cancelling{some.Numbers, cancel, &reads}}
	err = fill(ctx, make([]float32, tensor.Size()), []checkpoint.Tensor{tensor})
	if n := reads.Load(); !errors.Is(err, context.Canceled) || n > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("error %v after %d of %d pieces", err, n, pieces)
	}
}
