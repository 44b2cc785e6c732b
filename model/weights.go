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

	"scored/model/checkpoint"
)

// weights are the model's parameters on the device. Matrices are in the stored dtype
// and stay [out, in], as in checkpoints: products on a CPU are at least as fast as with
// [in, out]. Vectors are float32, which is how they are used: converting one takes a
// TPU longer than using it.
type weights struct {
	table     *tensors.Tensor     // [V, D]
	head      *tensors.Tensor     // [V, D], or [n, D] of n classes; the table itself if tied
	finalNorm *tensors.Tensor     // [D]
	layers    [][]*tensors.Tensor // of each layer, in the order of Config.Layer
}

// loader puts a model's parameters on a device, each once. After the first error it
// does nothing more.
type loader struct {
	on     device
	source checkpoint.Source
	dtype  func(dims []int) dtypes.DType // of an array on the device
	// progress, unless nil, is called after each array. done and total are bytes on the
	// device.
	progress    func(stage Stage, done, total int64)
	done, total int64
	err         error
}

// load loads all parameters, until ctx ends. After an error it has freed them.
func (d decoder) load(ctx context.Context, on device, source checkpoint.Source,
	progress func(stage Stage, done, total int64)) (*weights, error) {
	l := &loader{on: on, source: source, dtype: d.dtypeOf, progress: progress}
	for _, spec := range d.Tensors() {
		l.total += int64(spec.Size() * d.dtypeOf(spec.Shape).Size())
	}
	w := &weights{table: l.put(ctx, checkpoint.EmbeddingName)}
	for i := range d.Layers {
		var layer []*tensors.Tensor
		for _, array := range d.Layer() {
			var names []string
			for _, spec := range array.Tensors(i) {
				names = append(names, spec.Name)
			}
			layer = append(layer, l.put(ctx, names...))
		}
		w.layers = append(w.layers, layer)
	}
	w.finalNorm = l.put(ctx, checkpoint.NormName)
	w.head = w.table
	if head := d.Head(); head.Name != checkpoint.EmbeddingName {
		w.head = l.put(ctx, head.Name)
	}
	if l.err != nil {
		return nil, errors.Join(l.err, w.close())
	}
	return w, nil
}

// put puts the named tensors on the device as one array, one after the other along the
// first axis. It returns nil after an error.
func (l *loader) put(ctx context.Context, names ...string) (t *tensors.Tensor) {
	if l.err == nil {
		t, l.err = l.upload(ctx, names)
	}
	if l.err == nil && l.progress != nil {
		l.done += t.ByteSize()
		l.progress(StageWeights, l.done, l.total)
	}
	return t
}

// upload is put without its bookkeeping. Where device and host share memory, the values
// are written in place and exist once.
func (l *loader) upload(ctx context.Context, names []string) (*tensors.Tensor, error) {
	parts := make([]checkpoint.Tensor, len(names))
	var dims []int
	for i, name := range names {
		part, err := l.source.Tensor(name)
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
	shape := shapes.Make(l.dtype(dims), dims...)
	if l.on.HasSharedBuffers() {
		buffer, flat, err := l.on.NewSharedBuffer(l.on.number, shape)
		if err != nil {
			return nil, err
		}
		return tensorOf(buffer, fill(ctx, flat, parts))
	}
	flat := dtypes.MakeAnySlice(shape.DType, shape.Size())
	if err := fill(ctx, flat, parts); err != nil {
		return nil, err
	}
	buffer, err := l.on.BufferFromFlatData(l.on.number, flat, shape)
	if err != nil {
		return nil, err
	}
	return tensorOf(buffer, nil)
}

// tensorOf wraps a buffer, or frees it if it could not be filled, for which err is the
// reason.
func tensorOf(buffer compute.Buffer, err error) (*tensors.Tensor, error) {
	if err != nil {
		return nil, errors.Join(err, buffer.Finalize())
	}
	return tensors.FromBuffer(buffer)
}

// fillChunk is how many weights one goroutine converts at a time. Between two of them
// it looks whether the context has ended.
const fillChunk = 1 << 20

// fill writes the parts one after the other into flat, a slice of the device's dtype,
// on all processors, until ctx ends.
func fill(ctx context.Context, flat any, parts []checkpoint.Tensor) error {
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

// close frees the arrays. w may be nil, or half loaded.
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

// finalize frees device memory at once. Go's collector does not know how large it is,
// and would leave it for too long. nil tensors are skipped.
func finalize(all ...*tensors.Tensor) error {
	var errs []error
	for _, t := range all {
		if t != nil {
			errs = append(errs, t.FinalizeAll())
		}
	}
	return errors.Join(errs...)
}
