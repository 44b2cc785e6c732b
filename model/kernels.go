package model

import (
	"scored/model/checkpoint"
	"scored/model/kernel"
	"scored/model/mosaic"
	"scored/model/triton"
	"scored/score/plan"
)

// Kernels says which kernels compute attention. The zero value means none.
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

// TPUKernels are those for a TPU, in package mosaic.
func TPUKernels() Kernels { return Kernels{kind: mosaicKernels} }

// GPUKernels are those for an NVIDIA GPU, in package triton. sharedMemory is how many
// bytes of shared memory a block of threads may use there.
func GPUKernels(sharedMemory int) Kernels { return Kernels{tritonKernels, sharedMemory} }

// Any reports whether there are any.
func (k Kernels) Any() bool { return k.kind != noKernels }

// Of returns the kernels for a model's layers.
func (k Kernels) Of(c checkpoint.Config) LayerKernels { return LayerKernels{k, c} }

// LayerKernels are the kernels for a model's layers, one of each for each step shape.
type LayerKernels struct {
	Kernels
	config checkpoint.Config
}

// kernelShape is what the rest of the package needs to know of the kernels for a step
// shape: why there are none, and into which blocks they divide attention.
type kernelShape interface {
	Check() error
	Blocks() kernel.Blocks
}

// Fit returns an error that says why one of these buckets has no kernels; nil if all
// have.
func (k LayerKernels) Fit(buckets []plan.Bucket) error {
	for _, b := range buckets {
		if err := k.shape(b.Tokens, b.Context).Check(); err != nil {
			return err
		}
	}
	return nil
}

// shape returns what the kernels are written for: so many tokens, and a context of so
// many keys.
func (k LayerKernels) shape(tokens, context int) kernelShape {
	if k.kind == tritonKernels {
		return k.triton(tokens, context)
	}
	return k.mosaic(tokens, context)
}

func (k LayerKernels) mosaic(tokens, context int) mosaic.Shape {
	return mosaic.Shape{Shape: k.attention(tokens, context)}
}

func (k LayerKernels) triton(tokens, context int) triton.Shape {
	return triton.Shape{Shape: k.attention(tokens, context), Shared: k.shared}
}

func (k LayerKernels) attention(tokens, context int) kernel.Shape {
	c := k.config
	return kernel.Shape{Tokens: tokens, Context: context, Heads: c.Heads, KVHeads: c.KVHeads,
		HeadDim: c.HeadDim, Norm: c.QKNorm, Eps: c.RMSEps}
}

// SharedMemory returns how many bytes of shared memory a GPU's kernel of attention
// takes in a bucket; 0 if the kernels are not those of a GPU.
func (k LayerKernels) SharedMemory(b plan.Bucket) int {
	if k.kind != tritonKernels {
		return 0
	}
	return triton.Attend(k.triton(b.Tokens, b.Context)).Shared
}

// Cycles returns how many cycles a step's kernels take on a v6e: see
// mosaic.Shape.Cycles.
func (k LayerKernels) Cycles(b plan.Bucket) float64 {
	return float64(k.config.Layers) * k.mosaic(b.Tokens, b.Context).Cycles()
}
