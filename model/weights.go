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

// weights are the model's parameters on the device, in the stored dtype. Matrices stay [out, in] as checkpoints store
// them, which products on CPU like at least as well as [in, out]; those that read the same input are stacked.
type weights struct {
	table     *tensors.Tensor // [V, D]
	head      *tensors.Tensor // [V, D]; the table itself if tied
	finalNorm *tensors.Tensor // [D]
	blocks    [][]*tensors.Tensor
}

// stack is one array on the device, made of checkpoint tensors one after the other along the first axis.
type stack []string

// blockStacks are the arrays of one block, in the order of blockParameters.
func (c Config) blockStacks() []stack {
	stacks := []stack{
		{"input_layernorm.weight"},
		{"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
		{"self_attn.o_proj.weight"},
		{"post_attention_layernorm.weight"},
		{"mlp.gate_proj.weight", "mlp.up_proj.weight"},
		{"mlp.down_proj.weight"},
	}
	if c.QKVBias {
		stacks = append(stacks, stack{"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"})
	}
	if c.QKNorm {
		stacks = append(stacks, stack{"self_attn.q_norm.weight"}, stack{"self_attn.k_norm.weight"})
	}
	return stacks
}

// load reads every parameter once and puts it on the device, until ctx ends.
func (n network) load(ctx context.Context, on device, source Source, progress func(stage Stage, done, total int64)) (w *weights, err error) {
	w = &weights{}
	done, total := int64(0), n.Parameters()*int64(n.stored.Size())
	put := func(names ...string) (t *tensors.Tensor) {
		if err == nil {
			t, err = n.upload(ctx, on, source, names)
		}
		if err == nil && progress != nil {
			done += int64(t.Memory())
			progress(StageWeights, done, total)
		}
		return t
	}
	w.table = put(embeddingName)
	for i := range n.Layers {
		var block []*tensors.Tensor
		for _, parts := range n.blockStacks() {
			names := make([]string, len(parts))
			for k, part := range parts {
				names[k] = fmt.Sprintf("model.layers.%d.%s", i, part)
			}
			block = append(block, put(names...))
		}
		w.blocks = append(w.blocks, block)
	}
	w.finalNorm = put(normName)
	w.head = w.table
	if !n.TieEmbeddings {
		w.head = put(headName)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// upload stacks the named tensors into one array on the device. Where device and host share memory, the values are
// written in place and exist once.
func (n network) upload(ctx context.Context, on device, source Source, names []string) (*tensors.Tensor, error) {
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
	shape := shapes.Make(n.stored, dims...)
	if on.HasSharedBuffers() {
		buffer, flat, err := on.NewSharedBuffer(on.number, shape)
		if err != nil {
			return nil, err
		}
		return tensorOf(buffer, fill(ctx, flat, parts))
	}
	flat := dtypes.MakeAnySlice(n.stored, shape.Size())
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

// fill writes the parts one after the other into flat, a slice of the device's dtype, on all processors, until ctx ends.
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
	for _, block := range w.blocks {
		err = errors.Join(err, finalize(block...))
	}
	*w = weights{}
	return err
}
