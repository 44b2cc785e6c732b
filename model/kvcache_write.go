package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// windows writes page by page, in a loop that goes over as many pages as the step has new tokens for: a step without any
// touches nothing. It is for devices that run a loop of their own accord: a GPU's host waits for each of its rounds.
//
// A window is four numbers: the page's first slot, the token that would go there if all the page were the window's, and
// which slots of the page are written, from … to-1.
type windows struct{}

func (windows) stored(dtype dtypes.DType) dtypes.DType { return dtype }

func (windows) inputs(in *parameters, tokens int) []*Node {
	return []*Node{in.next(dtypes.Int32), in.next(dtypes.Int32, tokens, 4)}
}

func (windows) pack(l *layout) []*tensors.Tensor {
	all := windowsOf(l.keep, l.spare)
	flat := make([]int32, 4*len(l.keep))
	for i, w := range all {
		copy(flat[4*i:], w[:])
	}
	return []*tensors.Tensor{tensors.FromScalar(int32(len(all))), tensors.FromFlatDataAndDimensions(flat, len(l.keep), 4)}
}

// windowsOf are the windows of tokens that go to slots; those that go to spare are not kept.
func windowsOf(keep []int32, spare int32) (all [][4]int32) {
	for t := 0; t < len(keep); {
		slot := keep[t]
		if slot == spare {
			t++
			continue
		}
		row := slot % plan.PageTokens
		n := int32(1)
		for t+int(n) < len(keep) && row+n < plan.PageTokens && keep[t+int(n)] == slot+n {
			n++
		}
		all = append(all, [4]int32{slot - row, int32(t) - row, row, row + n})
		t += int(n)
	}
	return all
}

func (windows) write(cache, fresh *Node, inputs []*Node) *Node {
	width := cache.Shape().Dim(1)
	count, list := inputs[0], inputs[1]
	state := []*Node{Sub(count, count), OnesLike(count), count, list, fresh, cache}
	more := func(s []*Node) *Node { return LessThan(s[0], s[2]) }
	return loop(state, more, func(s []*Node) []*Node {
		i, list, fresh, cache := s[0], s[3], s[4], s[5]
		first := Sub(i, i)
		window := Reshape(DynamicSlice(list, []*Node{i, first}, []int{1, 4}), 4)
		number := func(k int) *Node { return Reshape(Slice(window, AxisElem(k))) }
		each := func(x *Node) *Node { return BroadcastToDims(x, plan.PageTokens) }
		row := Iota(i.Graph(), shapes.Make(dtypes.Int32, plan.PageTokens), 0)
		// Rows outside the window ask for tokens that may not be there; a gather takes the nearest instead.
		tokens := Gather(fresh, ExpandDims(Add(row, each(number(1))), -1))
		at, page := []*Node{number(0), first}, []int{plan.PageTokens, width}
		inside := LogicalAnd(GreaterOrEqual(row, each(number(2))), LessThan(row, each(number(3))))
		updated := Where(BroadcastToDims(ExpandDims(inside, -1), page...), tokens, DynamicSlice(cache, at, page))
		return []*Node{Add(i, s[1]), s[1], s[2], list, fresh, DynamicUpdateSlice(cache, updated, at)}
	})[5]
}

// scatter writes all of a step's tokens at once, those that are not kept to a spare slot. GoMLX has no scatter that sets, but
// one that adds: so the cache holds the numbers' bits as unsigned integers, which a difference changes into others exactly.
type scatter struct{}

func (scatter) stored(dtype dtypes.DType) dtypes.DType {
	if dtype.Size() == 2 {
		return dtypes.Uint16
	}
	return dtypes.Uint32
}

func (scatter) inputs(in *parameters, tokens int) []*Node {
	return []*Node{in.next(dtypes.Int32, tokens)}
}

func (scatter) pack(l *layout) []*tensors.Tensor { return []*tensors.Tensor{vector(l.keep)} }

func (scatter) write(cache, fresh *Node, inputs []*Node) *Node {
	slots := ExpandDims(inputs[0], -1)
	change := Sub(Bitcast(fresh, cache.DType()), Gather(cache, slots))
	// Only the spare slot is there more than once, and what it holds means nothing.
	return ScatterSum(cache, slots, change, false, true)
}
