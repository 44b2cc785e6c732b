package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score"
)

// Options choose how a model runs.
type Options struct {
	DType dtypes.DType // of the weights on the device: Float32 or BFloat16
	// Products is the dtype in which matrix products take their inputs, and of the keys and values kept; 0 means DType.
	// A processor multiplies float32 as fast as bfloat16 and exactly: there BFloat16 weights with Float32 products cost
	// half the memory and no precision.
	Products dtypes.DType
	// HeadByHead is for a TPU, whose registers hold a head's numbers of some tokens just as they lie in [T, h·E]: there one
	// head after the other spares the copies that bringing all heads in front of the tokens takes, at the price of many
	// small operations. So it is for steps of so much work or more, a pair of a query and a key counting 1 and a token
	// 1,024; 0 means none, as elsewhere one product over all heads is faster.
	HeadByHead int
	// ScoreBytes bounds the scores that attention to a prefix holds at a time, counted in float32, if those of MinBlock
	// tokens are less; 0 means 64 MiB, which stay in the fast memory of a TPU. MinBlock 0 means 128.
	ScoreBytes, MinBlock int
	Buckets              []score.Bucket
	PrefixCacheBytes     int64 // bound of the keys and values kept on the device between steps
	Device               int   // which of the backend's devices; several engines may use one each
	// Kernels attends by kernels, if there are any. They need buckets that Config.KernelsFit takes, products in BFloat16, and a
	// Splicer whose Rewrite the backend's compiler gets every program from. New gives ErrKernels if a program lacks a
	// kernel, or if kernels and formula differ on the device.
	Kernels Kernels
	Splicer *Splicer
	// Formula attends by the kernels' formula in place of kernels, in the same buckets: slow, on any device. It is for
	// tests.
	Formula bool
	// Lost tells whether an error of the backend means that the device will never work again; nil: none does.
	Lost func(error) bool
	// OutOfMemory tells whether an error of the backend means that the device has no memory left; nil: none does.
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

// Engine runs steps of one model on one device. It implements score.Engine. Its methods must not run concurrently.
type Engine struct {
	net      network
	buckets  []score.Bucket
	weights  *weights
	programs *programs
	prefixes prefixes
	zeros    map[int]*tensors.Tensor // by size: the keys and values of a prefix of which nothing is kept

	outOfMemory func(error) bool
	lost        func(error) bool
}

// New puts the model's weights on the backend's device and compiles every bucket. When ctx ends it returns ctx's error
// once the program that is being compiled is done, as no compiler can be interrupted.
func New(ctx context.Context, backend compute.Backend, cfg Config, source Source, opts Options) (e *Engine, err error) {
	net, err := newNetwork(cfg, opts)
	if err != nil {
		return nil, err
	}
	e = &Engine{net: net, buckets: slices.Clone(opts.Buckets), zeros: map[int]*tensors.Tensor{}}
	e.prefixes.limit = opts.PrefixCacheBytes
	e.outOfMemory, e.lost = opts.OutOfMemory, opts.Lost
	on := device{backend, compute.DeviceNum(opts.Device)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
			e = nil
		}
	}()
	if e.weights, err = e.net.load(ctx, on, source, opts.Progress); err != nil {
		return e, fmt.Errorf("weights do not load: %w", err)
	}
	if e.programs, err = e.net.compileAll(ctx, on, e.buckets, opts.Progress); err != nil {
		return e, err
	}
	if e.net.splicer != nil {
		if err := e.checkKernels(); err != nil {
			return e, err
		}
	}
	for _, b := range e.buckets {
		if b.Prefix > 0 && e.zeros[b.Prefix] == nil {
			e.zeros[b.Prefix] = tensors.FromShape(e.net.kept(b.Prefix))
		}
	}
	return e, nil
}

// Compile compiles what New would, without weights, and keeps nothing: it is for who collects the programs that go
// through the backend.
func Compile(ctx context.Context, backend compute.Backend, cfg Config, opts Options) error {
	net, err := newNetwork(cfg, opts)
	if err != nil {
		return err
	}
	programs, err := net.compileAll(ctx, device{backend, compute.DeviceNum(opts.Device)}, opts.Buckets, opts.Progress)
	programs.close()
	return err
}

func newNetwork(cfg Config, opts Options) (network, error) {
	if opts.Products == dtypes.InvalidDType {
		opts.Products = opts.DType
	}
	for _, dtype := range []dtypes.DType{opts.DType, opts.Products} {
		if dtype != dtypes.Float32 && dtype != dtypes.BFloat16 {
			return network{}, fmt.Errorf("dtype %s is not supported; use float32 or bfloat16", dtype)
		}
	}
	n := network{
		Config: cfg, stored: opts.DType, products: opts.Products, headByHeadFrom: opts.HeadByHead,
		scoreBytes: cmp.Or(opts.ScoreBytes, 64<<20), minBlock: cmp.Or(opts.MinBlock, 128),
	}
	if opts.Kernels.Any() && !opts.Formula {
		if n.splicer = opts.Splicer; n.splicer == nil {
			return network{}, errors.New("kernels need Options.Splicer, which calls them")
		}
		n.splicer.take(opts.Kernels)
	}
	if opts.Kernels.Any() || opts.Formula {
		return n.withKernels(opts.Kernels, opts.Buckets)
	}
	return n, nil
}

// Buckets lists the step shapes; every one is compiled.
func (e *Engine) Buckets() []score.Bucket { return slices.Clone(e.buckets) }

// Match finds, among the prefixes on the device of at most this size, the one that shares the most leading tokens with
// the prompt.
func (e *Engine) Match(prompt []int32, size int) (*score.Prefix, int) {
	return e.prefixes.match(prompt, size)
}

// Flush drops every prefix on the device and returns how many there were.
func (e *Engine) Flush() int {
	n, _ := e.prefixes.flush() // a buffer that cannot be freed is gone from the books all the same
	return n
}

// Run computes the step. See score.Engine.
func (e *Engine) Run(step *score.Step) ([][]float32, error) {
	answers, err := e.run(step)
	if err != nil && e.outOfMemory != nil && e.outOfMemory(err) {
		err = errors.Join(score.ErrMemory, err)
	}
	if err != nil && e.lost != nil && e.lost(err) {
		err = errors.Join(score.ErrLost, err)
	}
	return answers, err
}

// run is embed, every block, heads.
func (e *Engine) run(step *score.Step) (answers [][]float32, err error) {
	if err := fits(step); err != nil {
		return nil, err
	}
	base, err := e.base(step)
	if err != nil {
		return nil, err
	}
	in := e.net.pack(step)
	hidden, next, err := e.blocks(step.Bucket, in, base)
	if err != nil {
		return nil, errors.Join(err, finalize(slices.Concat(next.blocks...)...))
	}
	defer func() { err = errors.Join(err, finalize(hidden)) }()
	if step.New > 0 {
		next.prefix = step.Prefix
		err = e.prefixes.put(next, step.Base, step.Kept)
	} else {
		err = finalize(slices.Concat(next.blocks...)...)
	}
	if err != nil {
		return nil, err
	}
	answers, err = e.heads(step, in, hidden)
	if err == nil && !slices.ContainsFunc(step.Rows, func(row *score.Row) bool { return len(row.Labels) > 0 }) {
		err = e.await(step, hidden)
	}
	if err != nil {
		// Where executions are queued, what fails here may have failed in the blocks.
		return nil, errors.Join(err, e.prefixes.forget(step.Prefix), e.prefixes.forget(step.Base))
	}
	return answers, nil
}

// base gives each block's kept keys and values that the step goes on from; nil for a bucket without a prefix.
func (e *Engine) base(step *score.Step) (*keptPrefix, error) {
	if step.Base != nil {
		return e.prefixes.at(step.Base)
	}
	base := &keptPrefix{blocks: make([][]*tensors.Tensor, e.net.Layers)}
	if zeros := e.zeros[step.Bucket.Prefix]; zeros != nil {
		for i := range base.blocks {
			base.blocks[i] = slices.Repeat([]*tensors.Tensor{zeros}, e.net.keptArrays())
		}
	}
	return base, nil
}

// blocks runs embed and every block: the hidden states [T, D], and the prefix keys and values the blocks attended to.
func (e *Engine) blocks(bucket score.Bucket, in *packed, base *keptPrefix) (hidden *tensors.Tensor, next *keptPrefix, err error) {
	program := e.programs.block[shapeOf(bucket)]
	if program == nil {
		return nil, &keptPrefix{}, fmt.Errorf("bucket %+v is not one of the engine's", bucket)
	}
	next = &keptPrefix{blocks: make([][]*tensors.Tensor, e.net.Layers)}
	inputs := e.net.tensors(in, bucket)
	defer func() { err = errors.Join(err, finalize(inputs.all()...)) }()

	embedded, err := e.programs.embed[bucket.Tokens].run(inputs.ids, inputs.positions, e.weights.table)
	if err != nil {
		return nil, next, err
	}
	hidden, angles := embedded[0], embedded[1:]
	defer func() { err = errors.Join(err, finalize(angles...)) }()
	for i := range next.blocks {
		arguments := slices.Concat([]*tensors.Tensor{hidden}, angles, inputs.sight, base.blocks[i], e.weights.blocks[i])
		outputs, err := program.run(arguments...)
		if err = errors.Join(err, finalize(hidden)); err != nil {
			return nil, next, fmt.Errorf("layer %d: %w", i, err)
		}
		hidden, next.blocks[i] = outputs[0], outputs[1:]
		next.bytes += bytesOf(next.blocks[i])
	}
	return hidden, next, nil
}

// Close frees what the engine holds on the device, in reverse order of New. It may be called more than once.
func (e *Engine) Close() error {
	_, err := e.prefixes.flush()
	for size, zeros := range e.zeros {
		err = errors.Join(err, finalize(zeros))
		delete(e.zeros, size)
	}
	e.programs.close()
	return errors.Join(err, e.weights.close())
}

func bytesOf(all []*tensors.Tensor) (n int64) {
	for _, t := range all {
		n += int64(t.Memory())
	}
	return n
}
