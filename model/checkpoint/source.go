package checkpoint

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// Source gives the parameters that Config.Tensors lists. All of its methods but Close,
// and those of its tensors, may be called from several goroutines at a time.
type Source interface {
	// Tensor finds a parameter by its Hugging Face name. It is cheap: the numbers are
	// read when the tensor's methods ask for them.
	Tensor(name string) (Tensor, error)
	// Close releases the files. No tensor may be used after it.
	Close() error
}

// Tensor is one parameter of a Source.
type Tensor struct {
	TensorSpec
	DType   dtypes.DType // of the stored numbers: Float32, BFloat16 or Float16
	Numbers Numbers
}

// Numbers are the elements of a tensor in row-major order. Both methods fill dst with
// the elements from, from+1, …; the caller keeps that range inside the tensor.
type Numbers interface {
	Float32s(dst []float32, from int)
	BFloat16s(dst []bfloat16.BFloat16, from int)
}

// Float32 converts the elements from, from+1, … into dst until dst is full. That is
// exact for every stored dtype. It panics, as slicing does, if the tensor has fewer
// elements. Disjoint ranges may be converted in parallel.
func (t Tensor) Float32(dst []float32, from int) {
	t.checkRange(from, len(dst))
	t.Numbers.Float32s(dst, from)
}

// BFloat16 is Float32 into bfloat16, rounded to the nearest, ties to even. It is exact
// for numbers that are stored as bfloat16.
func (t Tensor) BFloat16(dst []bfloat16.BFloat16, from int) {
	t.checkRange(from, len(dst))
	t.Numbers.BFloat16s(dst, from)
}

func (t Tensor) checkRange(from, n int) {
	if size := t.Size(); from < 0 || n > size-from {
		panic(fmt.Errorf("elements [%d:%d] are outside tensor %s of %d", from, from+n, t.Name, size))
	}
}
