package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"scored/model/checkpoint"
	"scored/score/plan"
)

// Options choose how a model runs.
type Options struct {
	DType dtypes.DType // of the weights on the device: Float32 or BFloat16
	// Products is the dtype in which matrix products take their inputs, and of the keys
	// and values in the KV cache; 0 means DType. A processor multiplies float32 as fast
	// as bfloat16 and exactly: there BFloat16 weights with Float32 products cost half
	// the memory and no precision.
	Products dtypes.DType
	Buckets  []plan.Bucket // the step shapes, each of which is compiled
	// PrefixCacheBytes is the size of the KV cache, which has whole pages and room for
	// the largest Bucket.Context at least.
	PrefixCacheBytes int64
	// Scatter writes new tokens into the KV cache by a scatter, not by a loop over
	// pages: for a GPU, whose host waits in every round of a loop.
	Scatter bool
	// Group is how many layers a program computes, or the largest divisor of the
	// model's layers below that; 0 means one. Larger programs take longer to compile,
	// and the host less time to launch. It needs Scatter, because GoMLX cannot build two
	// loops of a kind into one program.
	Group  int
	Device int // which of the backend's devices; several engines may use one each
	// Kernels computes attention by kernels, if there are any. They need buckets that
	// LayerKernels.Fit accepts, products in BFloat16, and a Splicer. New returns
	// ErrKernels if a program lacks a kernel, or if kernels and formula differ on the
	// device.
	Kernels Kernels
	// Splicer rewrites every program, by its Rewrite, on the way to the backend's
	// compiler: it calls kernels, and keeps the KV cache in place. Without one every
	// step copies the KV cache. With one, New returns an error for a program into which
	// it could not write what belongs there.
	Splicer *Splicer
	// Formula computes attention by the kernels' formula in place of kernels, in the
	// same buckets: slow, on any device. It is for tests.
	Formula bool
	// Lost reports whether an error of the backend means that the device will never
	// work again; nil means that none does.
	Lost func(error) bool
	// OutOfMemory reports whether an error of the backend means that the device has no
	// memory left; nil means that none does.
	OutOfMemory func(error) bool
	// Progress, unless nil, is called on New's goroutine after each part of a stage.
	Progress func(stage Stage, done, total int64)

	blocks scoreBlocks // of attention to the context; zero: usualBlocks. Tests make them small
}

// withProducts returns the options with Products set.
func (o Options) withProducts() Options {
	if o.Products == dtypes.InvalidDType {
		o.Products = o.DType
	}
	return o
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
// ctx ends, New returns its error as soon as the program that is being compiled is done:
// no compiler can be interrupted. Close frees the device's memory. Neither backend nor
// source is closed; source is not read after New has returned.
func New(ctx context.Context, backend compute.Backend, cfg checkpoint.Config,
	source checkpoint.Source, opts Options) (e *Engine, err error) {
	net, err := newNetwork(backend, cfg, opts)
	if err != nil {
		return nil, err
	}
	e = &Engine{net: net, buckets: slices.Clone(opts.Buckets), outOfMemory: opts.OutOfMemory,
		lost: opts.Lost}
	on := device{backend, compute.DeviceNum(opts.Device)}
	defer func() {
		if err != nil && (e.lost == nil || !e.lost(err)) { // a lost device may hang in Close
			err = errors.Join(err, e.Close())
		}
		if err != nil {
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

// Compile compiles the programs that New would, without weights, and keeps none. It is
// for callers that collect the programs as they go through the backend.
func Compile(ctx context.Context, backend compute.Backend, cfg checkpoint.Config,
	opts Options) error {
	net, err := newNetwork(backend, cfg, opts)
	if err != nil {
		return err
	}
	programs, err := net.compileAll(ctx, device{backend, compute.DeviceNum(opts.Device)},
		opts.Buckets, opts.Progress)
	programs.close()
	return err
}

// Buckets returns the step shapes. Each is compiled.
func (e *Engine) Buckets() []plan.Bucket { return slices.Clone(e.buckets) }

// Pages returns how many pages of plan.PageTokens slots the KV cache has.
func (e *Engine) Pages() int { return e.net.cache.pages }

// Close frees what the engine holds on the device, in reverse order of New. Every step
// must have been waited for. Close may be called more than once.
func (e *Engine) Close() error {
	err := e.cache.free()
	e.programs.close()
	return errors.Join(err, e.weights.close())
}

// withMeaning joins an error of the backend with the error of package plan that says
// what it means, if it is one of those that the Scorer must know.
func (e *Engine) withMeaning(err error) error {
	if err != nil && e.outOfMemory != nil && e.outOfMemory(err) {
		err = errors.Join(plan.ErrMemory, err)
	}
	if err != nil && e.lost != nil && e.lost(err) {
		err = errors.Join(plan.ErrLost, err)
	}
	return err
}
