package model

import (
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// layout is a step as arrays of its bucket's shape, on the host. New tokens of prefixes
// come first, one prefix after the other, then each row's own tokens, then padding.
//
// A new token of a prefix attends to the context alone: to its prefix up to and
// including itself. It can, because a layer writes all new tokens of the step to the
// cache before it gathers the context.
type layout struct {
	ids, positions []int32 // [T]
	// [T]: Token t attends to the context's keys from[t] … to[t]-1, and to the step's
	// tokens start[t] … t, none if start[t] is t+1.
	from, to, start []int32
	context         []int32 // [C]: the context's slots
	keep            []int32 // [T]: the slot for the token's keys and values, or spare
	spare           int32   // the slot of tokens whose keys and values are dropped
	last            []int32 // index of each row's last token, one per row of the step
}

// lay arranges a step. Padding is token 0 at position 0, which attends only to itself;
// nothing reads its results.
func (c cacheLayout) lay(step *plan.Step) *layout {
	b := step.Bucket
	l := &layout{spare: c.spareSlot()}
	l.ids, l.positions, l.from, l.to, l.start = make([]int32, b.Tokens), make([]int32, b.Tokens),
		make([]int32, b.Tokens), make([]int32, b.Tokens), make([]int32, b.Tokens)
	l.keep = slices.Repeat([]int32{l.spare}, b.Tokens)
	t := 0
	add := func(id int32, position, from, to, start int) {
		l.ids[t], l.positions[t], l.from[t], l.to[t], l.start[t] = id, int32(position), int32(from),
			int32(to), int32(start)
		t++
	}
	begins := make([]int, len(step.Prefixes)) // of each prefix in the context
	for i, p := range step.Prefixes {
		begins[i] = len(l.context)
		l.context = append(l.context, p.Slots...)
		for k, id := range p.New {
			position := len(p.Slots) - len(p.New) + k
			l.keep[t] = p.Slots[position]
			add(id, position, begins[i], begins[i]+position+1, t+1)
		}
	}
	for len(l.context) < b.Context {
		l.context = append(l.context, c.zeroSlot())
	}
	for i := range step.Rows {
		row, first, from := &step.Rows[i], t, 0
		if row.Shared > 0 {
			from = begins[row.Prefix]
		}
		for k, id := range row.Own() {
			add(id, row.Shared+k, from, from+row.Shared, first)
		}
		l.last = append(l.last, int32(t-1))
	}
	for ; t < b.Tokens; t++ {
		l.start[t] = int32(t)
	}
	return l
}

// ranges returns view.ranges, [3, T].
func (l *layout) ranges() *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Concat(l.from, l.to, l.start), 3, len(l.start))
}

// vector copies integers to a host array.
func vector(values []int32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values))
}
