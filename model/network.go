package model

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// network is the decoder as an engine runs it.
type network struct {
	decoder
	attention attention
	cache     cacheLayout
	group     int      // how many layers a program computes
	splicer   *Splicer // that rewrites the programs; nil: they run as they are, and copy the KV cache
}

func newNetwork(backend compute.Backend, cfg Config, opts Options) (n network, err error) {
	if opts.Products == dtypes.InvalidDType {
		opts.Products = opts.DType
	}
	for _, dtype := range []dtypes.DType{opts.DType, opts.Products} {
		if dtype != dtypes.Float32 && dtype != dtypes.BFloat16 {
			return n, fmt.Errorf("dtype %s is not supported; use float32 or bfloat16", dtype)
		}
	}
	n = network{decoder: decoder{Config: cfg, stored: opts.DType, products: opts.Products},
		group: 1, splicer: opts.Splicer}
	if opts.Scatter {
		n.group = cfg.Group(opts.Group)
	}
	writer := chooseWriter(backend, opts)
	if n.attention, err = n.chooseAttention(opts, writer); err != nil {
		return n, err
	}
	n.cache = n.newCacheLayout(opts.PrefixCacheBytes, opts.Buckets, writer)
	return n, nil
}

// scoreBytes is Options.ScoreBytes where that is 0.
const scoreBytes = 64 << 20

func (n network) chooseAttention(opts Options, writer cacheWriter) (attention, error) {
	by := opts.Kernels
	if !by.Any() && !opts.Formula {
		_, loops := writer.(windows) // they are a loop, too
		return banded{n.decoder, cmp.Or(opts.ScoreBytes, scoreBytes), cmp.Or(opts.MinBlock, 128),
			loops}, nil
	}
	if !by.Any() {
		by = TPUKernels() // whose formula is asked for
	}
	if err := n.KernelsFit(by, opts.Buckets); err != nil {
		return nil, fmt.Errorf("kernels do not fit: %w; leave Options.Kernels out", err)
	}
	called := !opts.Formula
	if called && opts.Splicer == nil {
		return nil, errors.New("kernels need Options.Splicer, which calls them")
	}
	if called {
		opts.Splicer.take(by)
	}
	return packed{n.decoder, by, called}, nil
}

// chooseWriter: windows where the device can run them.
func chooseWriter(backend compute.Backend, opts Options) cacheWriter {
	operations := backend.Capabilities().Operations
	if opts.Scatter || !operations[compute.OpTypeDynamicUpdateSlice] {
		return scatter{}
	}
	return windows{}
}
