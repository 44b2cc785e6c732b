package model

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score"
)

// packed is a step as arrays of its bucket's shape, on the host. See sight for what they mean.
type packed struct {
	ids, positions       []int32 // [T]
	slots                []int32 // [R·L]; nil for kernels, which take rows as they lie
	places, own, visible []int32 // [T]
	from                 []int32 // [T]: the first prefix key that the token sees, for kernels; visible is one past the last
	start                []int32 // [T]: the first of the step's tokens that the token sees; t+1 if it sees none
	gathered             []int32 // [P]
	last                 []int32 // index of each row's last token, one per row of the step
}

// pack lays a step out: the new tokens of the prefix first, then each row's own tokens, then padding. Padding is token 0
// at position 0, which belongs to a row and sees only itself or what the first row sees; nothing ever reads it.
func (n network) pack(step *score.Step) *packed {
	b := step.Bucket
	in := &packed{
		ids: make([]int32, b.Tokens), positions: make([]int32, b.Tokens),
		places: make([]int32, b.Tokens), own: make([]int32, b.Tokens), visible: make([]int32, b.Tokens),
		from: make([]int32, b.Tokens), start: make([]int32, b.Tokens),
		gathered: make([]int32, b.Prefix),
		last:     make([]int32, 0, len(step.Rows)),
	}
	if !n.kernels {
		in.slots = make([]int32, b.Rows*b.Length)
	}
	t := 0
	add := func(id int32, position, visible, start int) {
		in.ids[t], in.positions[t], in.visible[t], in.start[t] = id, int32(position), int32(visible), int32(start)
		t++
	}
	for p := range in.gathered {
		in.gathered[p] = int32(p)
		if p >= step.Kept && p < step.Kept+step.New {
			in.gathered[p] = int32(b.Prefix + p - step.Kept)
		}
	}
	if step.New > 0 {
		for i, id := range step.Prefix.Tokens[step.Kept:] {
			position := step.Kept + i
			add(id, position, position+1, t+1)
		}
	}
	for i := range in.own[t:] {
		in.own[t+i] = 1
	}
	for r, row := range step.Rows {
		first := t
		for i, id := range row.Own() {
			if place := r*b.Length + i; !n.kernels {
				in.slots[place], in.places[t] = int32(t), int32(place)
			}
			add(id, row.Shared+i, row.Shared, first)
		}
		in.last = append(in.last, int32(t-1))
	}
	for ; t < b.Tokens; t++ {
		in.start[t] = int32(t)
	}
	return in
}

// fits says whether the step may run in its bucket. Breaking a bound would corrupt other rows, so it is checked here once
// more, next to the arrays it protects.
func fits(step *score.Step) error {
	b, tokens := step.Bucket, step.New
	held := 0
	if step.Prefix != nil {
		held = step.Kept + step.New
		if step.Prefix.Size != b.Prefix || held != len(step.Prefix.Tokens) || held > b.Prefix {
			return fmt.Errorf("step's prefix of %d tokens (size %d) does not fit bucket %+v", held, step.Prefix.Size, b)
		}
	} else if step.New != 0 || step.Kept != 0 {
		return fmt.Errorf("step computes %d prefix tokens without a prefix", step.New)
	}
	for i, row := range step.Rows {
		own := len(row.Own())
		tokens += own
		if own == 0 || own > b.Length || row.Shared > held {
			return fmt.Errorf("row %d of the step (%d own tokens, %d shared) does not fit bucket %+v", i, own, row.Shared, b)
		}
	}
	if tokens > b.Tokens || len(step.Rows) > b.Rows {
		return fmt.Errorf("step of %d tokens and %d rows does not fit bucket %+v", tokens, len(step.Rows), b)
	}
	return nil
}

// stepInputs are a step's arrays as tensors; the device takes them over at first use.
type stepInputs struct {
	ids, positions *tensors.Tensor
	sight          []*tensors.Tensor // in the order of blockGraph, or kernelBlockGraph
}

func (n network) tensors(in *packed, b score.Bucket) stepInputs {
	out := stepInputs{ids: vector(in.ids), positions: vector(in.positions)}
	switch {
	case n.kernels:
		out.sight = n.reachTensors(in, b)
	case b.Prefix > 0:
		out.sight = []*tensors.Tensor{vector(in.slots), vector(in.places), vector(in.own), vector(in.visible), vector(in.gathered)}
	default:
		out.sight = []*tensors.Tensor{vector(in.slots), vector(in.places)}
	}
	return out
}

// reachTensors are those of reachParameters, but for the prefix.
func (n network) reachTensors(in *packed, b score.Bucket) []*tensors.Tensor {
	spans := n.kernelShape(n.by, b.Tokens, b.Prefix).Blocks().Spans(in.from, in.visible, in.start)
	sight := tensors.FromFlatDataAndDimensions(slices.Concat(in.from, in.visible, in.start), 3, b.Tokens)
	if b.Prefix == 0 {
		return []*tensors.Tensor{vector(spans), sight}
	}
	return []*tensors.Tensor{vector(spans), sight, vector(in.gathered)}
}

func vector(values []int32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values))
}

func (s stepInputs) all() []*tensors.Tensor { return append(s.sight, s.ids, s.positions) }
