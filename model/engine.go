package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// Options choose how a model runs.
type Options struct {
	DType dtypes.DType // of the weights on the device: Float32 or BFloat16
	// Products is the dtype in which matrix products take their inputs, and of the keys
	// and values kept; 0 means DType. A processor multiplies float32 as fast as
	// bfloat16 and exactly: there BFloat16 weights with Float32 products cost half the
	// memory and no precision.
	Products dtypes.DType
	// ScoreBytes bounds the scores that attention to a context holds at a time, counted
	// in float32, if those of MinBlock tokens are less; 0 means 64 MiB, which stay in
	// the fast memory of a TPU. MinBlock 0 means 128.
	ScoreBytes, MinBlock int
	Buckets              []plan.Bucket
	// PrefixCacheBytes is the size of the KV cache, which has whole pages and room for
	// the largest Bucket.Context at least.
	PrefixCacheBytes int64
	// Scatter writes new tokens into the KV cache by a scatter, not by a loop over
	// pages: for a GPU, whose host waits in every round of a loop.
	Scatter bool
	// Group is how many layers a program computes, as far as that divides the model's;
	// 0 means one. More take longer to compile, and their host less to launch. It needs
	// Scatter: GoMLX builds no two loops of a kind into a program.
	Group  int
	Device int // which of the backend's devices; several engines may use one each
	// Kernels attends by kernels, if there are any. They need buckets that
	// Config.KernelsFit takes, products in BFloat16, and a Splicer. New gives
	// ErrKernels if a program lacks a kernel, or if kernels and formula differ on the
	// device.
	Kernels Kernels
	// Splicer rewrites every program, by its Rewrite, on the way to the backend's
	// compiler: it calls kernels, and lets the KV cache stay where it is. Without one
	// every step copies the KV cache. With one, New demands that it finds what it looks
	// for.
	Splicer *Splicer
	// Formula attends by the kernels' formula in place of kernels, in the same buckets:
	// slow, on any device. It is for tests.
	Formula bool
	// Lost tells whether an error of the backend means that the device will never work
	// again; nil: none does.
	Lost func(error) bool
	// OutOfMemory tells whether an error of the backend means that the device has no
	// memory left; nil: none does.
	OutOfMemory func(error) bool
	// Progress is told how far New is, on its goroutine; nil: nobody is.
	Progress func(stage Stage, done, total int64)
}

// Stage is a part of New.
type Stage string

// The stages, in their order.
const (
	StageWeights Stage = "weights" // done and total are bytes on the device
	StageCompile Stage = "compile" // done and total are programs
)

// Engine runs steps of one model on one device. It implements score.Engine.
type Engine struct {
	net      network
	buckets  []plan.Bucket
	weights  *weights
	programs *programs
	cache    kvCache

	outOfMemory func(error) bool
	lost        func(error) bool
}

// New puts the model's weights on the backend's device and compiles every bucket. When
// ctx ends it returns ctx's error once the program that is being compiled is done, as
// no compiler can be interrupted.
func New(ctx context.Context, backend compute.Backend, cfg Config, source Source,
	opts Options) (e *Engine, err error) {
	net, err := newNetwork(backend, cfg, opts)
	if err != nil {
		return nil, err
	}
	e = &Engine{net: net, buckets: slices.Clone(opts.Buckets), outOfMemory: opts.OutOfMemory,
		lost: opts.Lost}
	on := device{backend, compute.DeviceNum(opts.Device)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
			e = nil
		}
	}()
	if e.weights, err = net.load(ctx, on, source, opts.Progress); err != nil {
		return e, fmt.Errorf("weights do not load: %w", err)
	}
	if e.programs, err = net.compileAll(ctx, on, e.buckets, opts.Progress); err != nil {
		return e, err
	}
	for _, c := range net.attention.checks(e.buckets) {
		if err := c.run(e.programs.check[c.name]); err != nil {
			return e, fmt.Errorf("%w: %w", ErrKernels, err)
		}
	}
	if e.programs.blank != nil {
		e.cache.layers = make([]*tensors.Tensor, net.Layers)
		if err := e.cache.fill(e.programs.blank); err != nil {
			return e, fmt.Errorf("kv cache is not made: %w; lower Options.PrefixCacheBytes", err)
		}
	}
	return e, nil
}

// Compile compiles what New would, without weights, and keeps nothing: it is for who
// collects the programs that go through the backend.
func Compile(ctx context.Context, backend compute.Backend, cfg Config, opts Options) error {
	net, err := newNetwork(backend, cfg, opts)
	if err != nil {
		return err
	}
	programs, err := net.compileAll(ctx, device{backend, compute.DeviceNum(opts.Device)},
		opts.Buckets, opts.Progress)
	programs.close()
	return err
}

// Buckets lists the step shapes; every one is compiled.
func (e *Engine) Buckets() []plan.Bucket { return slices.Clone(e.buckets) }

// Pages is how many pages of plan.PageTokens slots the KV cache has.
func (e *Engine) Pages() int { return e.net.cache.pages }

// Close frees what the engine holds on the device, in reverse order of New. It may be
// called more than once, when every step has been waited for.
func (e *Engine) Close() error {
	err := e.cache.free()
	e.programs.close()
	return errors.Join(err, e.weights.close())
}

// told is the error with what the Scorer must know of it.
func (e *Engine) told(err error) error {
	if err != nil && e.outOfMemory != nil && e.outOfMemory(err) {
		err = errors.Join(plan.ErrMemory, err)
	}
	if err != nil && e.lost != nil && e.lost(err) {
		err = errors.Join(plan.ErrLost, err)
	}
	return err
}
