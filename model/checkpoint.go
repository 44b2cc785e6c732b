package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// Source gives the parameters that Config.Tensors lists: Checkpoint from files,
// Generated from a seed. Its methods, and those of the tensors it gives, are safe for
// concurrent use, but for Close.
type Source interface {
	// Tensor finds a parameter by its Hugging Face name. It is cheap: numbers are read
	// when they are asked for.
	Tensor(name string) (Tensor, error)
	// Close releases the files. Tensors and their Raw bytes must not be used after it.
	Close() error
}

// Tensor is one parameter of a Source.
type Tensor struct {
	TensorSpec
	DType   dtypes.DType // how the numbers are stored: Float32, BFloat16 or Float16
	numbers numbers
}

// numbers are the elements of a tensor in row-major order. The callers keep ranges
// inside the tensor.
type numbers interface {
	float32s(dst []float32, from int)
	bfloat16s(dst []bfloat16.BFloat16, from int)
}

// Float32 converts elements from, from+1, … into dst until it is full; exact for every
// stored dtype. It panics, as slicing does, when the tensor has fewer. Disjoint ranges
// may be converted in parallel.
func (t Tensor) Float32(dst []float32, from int) {
	t.checkRange(from, len(dst))
	t.numbers.float32s(dst, from)
}

// BFloat16 is Float32 into bfloat16, rounded to the nearest, ties to even; exact for
// what is stored as bfloat16.
func (t Tensor) BFloat16(dst []bfloat16.BFloat16, from int) {
	t.checkRange(from, len(dst))
	t.numbers.bfloat16s(dst, from)
}

func (t Tensor) checkRange(from, n int) {
	if size := t.Size(); from < 0 || n > size-from {
		panic(fmt.Errorf("elements [%d:%d] are outside tensor %s of %d", from, from+n, t.Name, size))
	}
}
