package triton

import (
	"fmt"

	"scored/model/kernel"
)

// Shape is what the kernels are written for.
type Shape struct {
	kernel.Shape
	// Shared is how many bytes of shared memory a block of threads may use on the card.
	Shared int
	// Tile is how attention is divided; the zero value leaves the choice to the package.
	Tile Tile
}

// multiple is that of tokens and of context keys: the largest block of a tile.
const multiple = 64

// Check returns an error that says why there are no kernels of the shape.
func (s Shape) Check() error {
	if s.HeadDim != 64 && s.HeadDim != 128 {
		return fmt.Errorf("heads have %d numbers, kernels are for 64 or 128", s.HeadDim)
	}
	if err := s.Shape.Check(multiple); err != nil {
		return err
	}
	switch {
	case s.most() > 1<<31-1:
		return fmt.Errorf("step shape of %d tokens and %d context keys has arrays of more than "+
			"2^31 numbers", s.Tokens, s.Context)
	case s.shared(s.tile()) > s.Shared:
		return fmt.Errorf("kernels take %d bytes of shared memory, the card has %d",
			s.shared(s.tile()), s.Shared)
	}
	return nil
}

// most returns how many numbers the largest array has. Kernels count them in 32 bits.
func (s Shape) most() int {
	return max(s.Tokens*(s.Heads+2*s.KVHeads), max(s.Tokens, s.Context)*s.KVHeads*2) * s.HeadDim
}

// Tile is how a kernel divides its work. A point of the grid has so many tokens of so
// many heads, which share their keys, and goes over so many keys at a time. Tokens,
// heads and keys are powers of two.
type Tile struct{ Tokens, Heads, Keys, Warps, Stages int }

// rows is how many rows of scores four warps compute: the least that the matrix units
// of Hopper take at a time. On an H100, microseconds a layer of Qwen3-0.6B's shape with
// 2,048 tokens: 180 of own on a prefix of 128, 20 of own on one of 2,048, and 300 of
// own without a prefix.
//
//	tokens x heads, keys, warps, stages
//	     32 x 2,      64,     4,      3   37  121  34
//	     64 x 2,      64,     4,      3   48  173  46
//	     64 x 2,      64,     8,      3   38  120  35
//	     64 x 2,      32,     4,      3   38  132  37
//	     64 x 2,      64,     4,      2   37  141  35
//	    128 x 2,      64,     8,      3   39  121  41
//	     64 x 2,     128,     8,      2   42  133  44
const rows = 64

// tile returns the first line of that table if shared memory allows it, and else the same
// with fewer stages.
func (s Shape) tile() Tile {
	if s.Tile != (Tile{}) {
		return s.Tile
	}
	t := Tile{Heads: 1, Keys: 64, Warps: 4, Stages: 3}
	// Heads that share keys stand together, if their number is even, so that a block
	// has fewer tokens, whose rows begin closer to each other.
	for g := s.Heads / s.KVHeads; g%2 == 0 && t.Heads < 4; g /= 2 {
		t.Heads *= 2
	}
	t.Tokens = rows / t.Heads
	for s.shared(t) > s.Shared && t.Stages > 1 {
		t.Stages--
	}
	return t
}

// shared bounds the bytes of shared memory that a tile takes: the keys and values of each
// stage, the queries, and 4 KiB for sums across a row and changes of layout.
func (s Shape) shared(t Tile) int {
	const element = 2
	keysValues := t.Keys * 2 * s.HeadDim * element
	queries := t.Tokens * t.Heads * s.HeadDim * element
	return t.Stages*keysValues + queries + 4<<10
}

// Blocks returns how attention is divided.
func (s Shape) Blocks() kernel.Blocks {
	t := s.tile()
	return kernel.Blocks{Tokens: t.Tokens, Context: t.Keys, Own: t.Keys}
}
