package model

import (
	"scored/model/kernel"
	"scored/model/mosaic"
	"scored/model/triton"
	"scored/score/plan"
)

// Kernels says whose kernels attend. The zero value is nobody's.
type Kernels struct {
	kind   kernelsKind
	shared int // bytes of shared memory of a GPU
}

type kernelsKind string

const (
	noKernels     kernelsKind = ""
	mosaicKernels kernelsKind = "mosaic"
	tritonKernels kernelsKind = "triton"
)

// TPUKernels are those of a TPU, in package mosaic.
func TPUKernels() Kernels { return Kernels{kind: mosaicKernels} }

// GPUKernels are those of an NVIDIA GPU, in package triton, whose blocks of threads may
// use so many bytes of shared memory.
func GPUKernels(sharedMemory int) Kernels { return Kernels{tritonKernels, sharedMemory} }

// Any tells whether there are any.
func (k Kernels) Any() bool { return k.kind != noKernels }

// kernelShape is what the kernels for a step shape tell: whether there are any, and how
// they cut it up.
type kernelShape interface {
	Check() error
	Blocks() kernel.Blocks
}

// KernelsFit says why there are no kernels for the model in these buckets; nil if there
// are.
func (c Config) KernelsFit(k Kernels, buckets []plan.Bucket) error {
	for _, b := range buckets {
		if err := c.kernelShape(k, b.Tokens, b.Context).Check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) kernelShape(k Kernels, tokens, context int) kernelShape {
	if k.kind == tritonKernels {
		return c.tritonShape(k, tokens, context)
	}
	return c.mosaicShape(tokens, context)
}

func (c Config) mosaicShape(tokens, context int) mosaic.Shape {
	return mosaic.Shape{Shape: c.attention(tokens, context)}
}

func (c Config) tritonShape(k Kernels, tokens, context int) triton.Shape {
	return triton.Shape{Shape: c.attention(tokens, context), Shared: k.shared}
}

func (c Config) attention(tokens, context int) kernel.Shape {
	return kernel.Shape{Tokens: tokens, Context: context, Heads: c.Heads, KVHeads: c.KVHeads,
		HeadDim: c.HeadDim, Norm: c.QKNorm, Eps: c.RMSEps}
}

// SharedMemory is how many bytes of shared memory a GPU's kernel of attention takes in
// a bucket; 0 without kernels.
func (c Config) SharedMemory(k Kernels, b plan.Bucket) int {
	if k.kind != tritonKernels {
		return 0
	}
	return triton.Attend(c.tritonShape(k, b.Tokens, b.Context)).Shared
}

// KernelCycles is how long a step's kernels take on a v6e: see mosaic.Shape.Cycles.
func (c Config) KernelCycles(b plan.Bucket) float64 {
	return float64(c.Layers) * c.mosaicShape(b.Tokens, b.Context).Cycles()
}
