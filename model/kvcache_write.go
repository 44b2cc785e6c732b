package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// windows writes page by page, in a loop over the pages that get new tokens: a step
// without new tokens writes nothing. It is for devices that run a loop without the host;
// a GPU's host waits in every round.
//
// A window is a line of numbers for one page: for each slot the token that goes there,
// or keeps if the slot stays as it is, and then the page's first slot.
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

// windowsOf returns the windows for tokens that go to the slots keep, in as many lines as
// there are tokens, and how many of the lines are used. Tokens whose slot is spare are
// dropped.
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
		// A slot that keeps what it has asks for token -1; a gather takes the nearest,
		// token 0, which is not used.
		tokens := Gather(fresh, ExpandDims(token, -1))
		isNew := BroadcastToDims(ExpandDims(GreaterOrEqual(token,
			BroadcastToDims(none, plan.PageTokens)), -1), page...)
		updated := Where(isNew, tokens, DynamicSlice(cache, at, page))
		return []*Node{Add(i, s[1]), s[1], s[2], lines, fresh, DynamicUpdateSlice(cache, updated, at)}
	})[5]
}

// scatter writes all tokens at once, those that are dropped to the spare slot. GoMLX has
// no scatter that sets numbers, only one that adds. So the cache holds the numbers' bits
// as unsigned integers, where adding a difference is exact.
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
	// Only the spare slot is there more than once, and its numbers mean nothing.
	return ScatterSum(cache, slots, change, false, true)
}
