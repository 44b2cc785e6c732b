package model

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"scored/model/checkpoint"
)

// network is the decoder as an engine runs it: with a variant of attention, a KV cache
// and programs for groups of layers.
type network struct {
	decoder
	attention attention
	cache     cacheLayout
	runs      Runs
	splicer   *Splicer // rewrites the programs; nil: they run as they are, and copy the KV cache
}

func newNetwork(backend compute.Backend, cfg checkpoint.Config,
	opts Options) (n network, err error) {
	opts = opts.withProducts()
	for _, dtype := range []dtypes.DType{opts.DType, opts.Products} {
		if dtype != dtypes.Float32 && dtype != dtypes.BFloat16 {
			return n, fmt.Errorf("dtype %s is not supported; use float32 or bfloat16", dtype)
		}
	}
	group := 1
	if opts.Scatter {
		group = opts.Group
	}
	n = network{decoder: decoder{Config: cfg, stored: opts.DType, products: opts.Products},
		runs: RunsOf(cfg.Layers, group), splicer: opts.Splicer}
	writer := chooseWriter(backend, opts)
	if n.attention, err = n.chooseAttention(opts, writer); err != nil {
		return n, err
	}
	n.cache = newCacheLayout(n.decoder, opts.PrefixCacheBytes, opts.Buckets, writer)
	return n, nil
}

// chooseAttention returns the variant that the options ask for.
func (n network) chooseAttention(opts Options, writer cacheWriter) (attention, error) {
	by := opts.Kernels
	if !by.Any() && !opts.Formula {
		// A device that runs the loop of windows also runs the loop over the context.
		_, loops := writer.(windows)
		return banded{n.decoder, cmp.Or(opts.blocks, usualBlocks()), loops}, nil
	}
	if !by.Any() {
		by = TPUKernels() // Options.Formula alone: both languages have the same formula
	}
	kernels := by.Of(n.Config)
	if err := kernels.Fit(opts.Buckets); err != nil {
		return nil, fmt.Errorf("kernels do not fit: %w; leave Options.Kernels out", err)
	}
	called := !opts.Formula
	if called && opts.Splicer == nil {
		return nil, errors.New("kernels need Options.Splicer, which calls them")
	}
	if called {
		opts.Splicer.use(by)
	}
	return packed{n.decoder, kernels, called}, nil
}

// chooseWriter returns windows if the device can run their loop without the host, and
// scatter otherwise.
func chooseWriter(backend compute.Backend, opts Options) cacheWriter {
	operations := backend.Capabilities().Operations
	if opts.Scatter || !operations[compute.OpTypeDynamicUpdateSlice] {
		return scatter{}
	}
	return windows{}
}
