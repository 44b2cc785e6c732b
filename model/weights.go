package model

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"
)

// weights are the model's parameters on the device. Matrices are in the stored dtype
// and stay [out, in] as checkpoints store them, which products on CPU like at least as
// well as [in, out]; those that read the same input are stacked. Vectors are float32,
// as which they are used: a TPU takes longer to convert one than to use it.
type weights struct {
	table     *tensors.Tensor     // [V, D]
	head      *tensors.Tensor     // [V, D], or [n, D] of n classes; the table itself if tied
	finalNorm *tensors.Tensor     // [D]
	layers    [][]*tensors.Tensor // of each layer, in the order of Config.layer
}

// load reads every parameter once and puts it on the device, until ctx ends.
func (d decoder) load(ctx context.Context, on device, source Source,
	progress func(stage Stage, done, total int64)) (w *weights, err error) {
	w = &weights{}
	done, total := int64(0), int64(0)
	for _, spec := range d.Tensors() {
		total += int64(spec.Size() * d.dtypeOf(spec.Shape).Size())
	}
	put := func(names ...string) (t *tensors.Tensor) {
		if err == nil {
			t, err = d.upload(ctx, on, source, names)
		}
		if err == nil && progress != nil {
			done += t.ByteSize()
			progress(StageWeights, done, total)
		}
		return t
	}
	w.table = put(embeddingName)
	for i := range d.Layers {
		var layer []*tensors.Tensor
		for _, p := range d.layer() {
			var names []string
			for _, spec := range p.tensors(i) {
				names = append(names, spec.Name)
			}
			layer = append(layer, put(names...))
		}
		w.layers = append(w.layers, layer)
	}
	w.finalNorm = put(normName)
	w.head = w.table
	if head := d.head(); head.Name != embeddingName {
		w.head = put(head.Name)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// dtypeOf is the dtype of a parameter on the device.
func (d decoder) dtypeOf(dims []int) dtypes.DType {
	if len(dims) == 1 {
		return dtypes.Float32
	}
	return d.stored
}

// upload stacks the named tensors into one array on the device. Where device and host
// share memory, the values are written in place and exist once.
func (d decoder) upload(ctx context.Context, on device, source Source,
	names []string) (*tensors.Tensor, error) {
	parts := make([]Tensor, len(names))
	var dims []int
	for i, name := range names {
		part, err := source.Tensor(name)
		if err != nil {
			return nil, err
		}
		parts[i] = part
		if i == 0 {
			dims = append(dims, part.Shape...)
			continue
		}
		dims[0] += part.Shape[0]
	}
	shape := shapes.Make(d.dtypeOf(dims), dims...)
	if on.HasSharedBuffers() {
		buffer, flat, err := on.NewSharedBuffer(on.number, shape)
		if err != nil {
			return nil, err
		}
		return tensorOf(buffer, fill(ctx, flat, parts))
	}
	flat := dtypes.MakeAnySlice(shape.DType, shape.Size())
	if err := fill(ctx, flat, parts); err != nil {
		return nil, err
	}
	buffer, err := on.BufferFromFlatData(on.number, flat, shape)
	if err != nil {
		return nil, err
	}
	return tensorOf(buffer, nil)
}

// tensorOf wraps a buffer, or frees it if it could not be filled.
func tensorOf(buffer compute.Buffer, err error) (*tensors.Tensor, error) {
	if err != nil {
		return nil, errors.Join(err, buffer.Finalize())
	}
	return tensors.FromBuffer(buffer)
}

// fillChunk is how many weights one goroutine converts at a time.
const fillChunk = 1 << 20

// fill writes the parts one after the other into flat, a slice of the device's dtype,
// on all processors, until ctx ends.
func fill(ctx context.Context, flat any, parts []Tensor) error {
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	offset := 0
	for _, part := range parts {
		for from := 0; from < part.Size(); from += fillChunk {
			start, end := offset+from, offset+min(from+fillChunk, part.Size())
			workers.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				switch dst := flat.(type) {
				case []float32:
					part.Float32(dst[start:end], from)
				case []bfloat16.BFloat16:
					part.BFloat16(dst[start:end], from)
				default:
					return fmt.Errorf("weights cannot be stored as %T", flat)
				}
				return nil
			})
		}
		offset += part.Size()
	}
	return workers.Wait()
}

// close frees the arrays. It may be called on a half-made or nil receiver.
func (w *weights) close() error {
	if w == nil {
		return nil
	}
	err := finalize(w.table, w.finalNorm)
	if w.head != w.table {
		err = errors.Join(err, finalize(w.head))
	}
	for _, layer := range w.layers {
		err = errors.Join(err, finalize(layer...))
	}
	*w = weights{}
	return err
}

// finalize frees device memory at once; Go's collector does not see how large it is.
func finalize(all ...*tensors.Tensor) error {
	var errs []error
	for _, t := range all {
		if t != nil {
			errs = append(errs, t.FinalizeAll())
		}
	}
	return errors.Join(errs...)
}
