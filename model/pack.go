package model

import (
	"fmt"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"scored/score"
)

// packed is a step as arrays of its bucket's shape, on the host. See sight for what they mean.
type packed struct {
	ids, positions       []int32 // [T]
	slots                []int32 // [R·L]
	places, own, visible []int32 // [T]
	gathered             []int32 // [P]
	last                 []int32 // index of each row's last token, one per row of the step
}

// pack lays a step out: the new tokens of the prefix first, then each row's own tokens, then padding. Padding is token 0
// at position 0, which belongs to a row and sees only itself or what the first row sees; nothing ever reads it.
func pack(step *score.Step) *packed {
	b := step.Bucket
	in := &packed{
		ids: make([]int32, b.Tokens), positions: make([]int32, b.Tokens),
		slots:  make([]int32, b.Rows*b.Length),
		places: make([]int32, b.Tokens), own: make([]int32, b.Tokens), visible: make([]int32, b.Tokens),
		gathered: make([]int32, b.Prefix),
		last:     make([]int32, 0, len(step.Rows)),
	}
	t := 0
	add := func(id int32, position, visible int) {
		in.ids[t], in.positions[t], in.visible[t] = id, int32(position), int32(visible)
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
			add(id, position, position+1)
		}
	}
	for i := range in.own[t:] {
		in.own[t+i] = 1
	}
	for r, row := range step.Rows {
		for i, id := range row.Own() {
			place := r*b.Length + i
			in.slots[place], in.places[t] = int32(t), int32(place)
			add(id, row.Shared+i, row.Shared)
		}
		in.last = append(in.last, int32(t-1))
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
	sight          []*tensors.Tensor // in the order of blockGraph
}

func (in *packed) tensors(b score.Bucket) stepInputs {
	array := func(values []int32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(values, len(values)) }
	out := stepInputs{ids: array(in.ids), positions: array(in.positions)}
	out.sight = []*tensors.Tensor{array(in.slots), array(in.places)}
	if b.Prefix > 0 {
		out.sight = append(out.sight, array(in.own), array(in.visible), array(in.gathered))
	}
	return out
}

func (s stepInputs) all() []*tensors.Tensor { return append(s.sight, s.ids, s.positions) }
