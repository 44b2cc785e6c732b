package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// windows writes page by page, in a loop that goes over as many pages as the step has
// new tokens for: a step without any touches nothing. It is for devices that run a loop
// of their own accord: a GPU's host waits for each of its rounds.
//
// A window is a line of numbers: of each slot of a page the token that goes there, or
// keeps where it stays as it is, and then the page's first slot.
type windows struct{}

const (
	windowWidth = plan.PageTokens + 1
	keeps       = -1
)

func (windows) stored(dtype dtypes.DType) dtypes.DType { return dtype }

func (windows) inputs(in *parameters, tokens int) []*Node {
	return []*Node{in.next(dtypes.Int32), in.next(dtypes.Int32, tokens, windowWidth)}
}

func (windows) pack(slots []int32, spare int32) []*tensors.Tensor {
	lines, count := windowsOf(slots, spare)
	return []*tensors.Tensor{tensors.FromScalar(int32(count)),
		tensors.FromFlatDataAndDimensions(lines, len(slots), windowWidth)}
}

// windowsOf are the windows of tokens that go to slots, and how many they are, in as
// many lines as there are tokens; those that go to spare are not kept.
func windowsOf(keep []int32, spare int32) (lines []int32, count int) {
	lines = make([]int32, len(keep)*windowWidth)
	at := map[int32][]int32{} // the window of a page, by its first slot
	for t, slot := range keep {
		if slot == spare {
			continue
		}
		first := slot / plan.PageTokens * plan.PageTokens
		window := at[first]
		if window == nil {
			window = lines[count*windowWidth : (count+1)*windowWidth]
			for row := range plan.PageTokens {
				window[row] = keeps
			}
			window[plan.PageTokens] = first
			at[first] = window
			count++
		}
		window[slot-first] = int32(t)
	}
	return lines, count
}

func (windows) write(cache, fresh *Node, inputs []*Node) *Node {
	page := []int{plan.PageTokens, cache.Shape().Dim(1)}
	count, lines := inputs[0], inputs[1]
	state := []*Node{Sub(count, count), OnesLike(count), count, lines, fresh, cache}
	more := func(s []*Node) *Node { return LessThan(s[0], s[2]) }
	return loop(state, more, func(s []*Node) []*Node {
		i, lines, fresh, cache := s[0], s[3], s[4], s[5]
		none := Sub(i, i)
		line := Reshape(DynamicSlice(lines, []*Node{i, none}, []int{1, windowWidth}), windowWidth)
		token := Slice(line, AxisRange(0, plan.PageTokens))
		at := []*Node{Reshape(Slice(line, AxisElem(plan.PageTokens))), none}
		// A slot that keeps what it has asks for a token that is not there; a gather
		// takes the nearest instead.
		tokens := Gather(fresh, ExpandDims(token, -1))
		isNew := BroadcastToDims(ExpandDims(GreaterOrEqual(token,
			BroadcastToDims(none, plan.PageTokens)), -1), page...)
		updated := Where(isNew, tokens, DynamicSlice(cache, at, page))
		return []*Node{Add(i, s[1]), s[1], s[2], lines, fresh, DynamicUpdateSlice(cache, updated, at)}
	})[5]
}

// scatter writes all tokens at once, those that are not kept to a spare slot. GoMLX has
// no scatter that sets, but one that adds: so the cache holds the numbers' bits as
// unsigned integers, which a difference changes into others exactly.
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

func (scatter) pack(slots []int32, _ int32) []*tensors.Tensor {
	return []*tensors.Tensor{vector(slots)}
}

func (scatter) write(cache, fresh *Node, inputs []*Node) *Node {
	slots := ExpandDims(inputs[0], -1)
	fresh = Slice(fresh, AxisRange(0, slots.Shape().Dim(0)))
	change := Sub(Bitcast(fresh, cache.DType()), Gather(cache, slots))
	// Only the spare slot is there more than once, and what it holds means nothing.
	return ScatterSum(cache, slots, change, false, true)
}
