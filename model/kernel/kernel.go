// Package kernel has what the attention kernels of every device share: their operands,
// the shape that they are written for, the blocks of keys that they go over, and the
// writing of their text, which is MLIR. It must not know any device's dialect; mosaic
// and triton do. Begin with Shape.
//
// A layer calls two kernels. Keys applies RMSNorm and RoPE to keys and contains
// non-finite values: it replaces them by 0 and puts NaN into their keys, so that only
// tokens that attend to them get NaN. Attend applies RMSNorm and RoPE to queries and
// computes attention.
//
// Keys takes qkv [T, (H+2K)·E] bfloat16, twice; weight [1, E] float32, by which normed
// keys are multiplied; and angles [T, 2E] float32, cosines and then signed sines. It
// returns [T, K·2E] bfloat16, for each head the keys and then the values.
//
// Attend takes spans [3·T/Blocks.Tokens] int32, from Spans; qkv, of which it reads the
// queries; the keys and values of Keys; those of the context [C, K·2E], left out
// without a context; ranges [3, T] int32: from, to and start; weight [1, E] float32 of
// queries, which includes log2(e)/sqrt(E), because softmax uses powers of two; and
// angles. It returns [T, H·E] bfloat16.
//
// Token t attends to the context's keys from[t] … to[t]-1, none if both are equal, and
// to the step's tokens start[t] … t, none if start[t] is t+1. It must attend to at
// least one key; otherwise its output is NaN.
//
// Weights are powers of two relative to the greatest score rounded up to an integer. So
// rescaling earlier results is exact, and a weight has the same bits in whichever block
// it is computed. The place of a row among others decides where its blocks end; it
// affects only the order of sums.
package kernel

import (
	"fmt"
	"math"
	"slices"
)

// Unseen is the score of a key that a query does not attend to. Before is the initial
// value of the greatest score, so far above Unseen that such a key has the weight 0
// from the start. Both are finite, so that no NaN can arise.
const Unseen, Before = -1e30, -1e29

// Shape is what the kernels of a layer are written for: T packed tokens of H query
// heads and K key-value heads of E numbers, and a context of C keys. G = H/K query
// heads share a key-value head.
type Shape struct {
	Tokens, Context         int
	Heads, KVHeads, HeadDim int
	// Norm is true if queries and keys are normed; Eps is added to their mean square.
	Norm bool
	Eps  float64
}

// Check returns an error if no device has kernels for the shape. Kernels take tokens
// and context keys in multiples.
func (s Shape) Check(multiple int) error {
	switch {
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d query heads do not share %d key-value heads evenly", s.Heads, s.KVHeads)
	case s.Tokens%multiple != 0 || s.Context%multiple != 0:
		return fmt.Errorf("step shape has %d tokens and %d context keys, kernels take multiples "+
			"of %d", s.Tokens, s.Context, multiple)
	}
	return nil
}

// Blocks say how a kernel divides attention: how many tokens attend at a time, and to
// how many keys of the context and of the step's own.
type Blocks struct{ Tokens, Context, Own int }

// Spans returns Attend's spans. For each block of tokens they have the first block of
// context keys that any of its tokens attends to; then for each the end of these
// blocks, equal to the first if there are none; then for each the first block of the
// step's own keys that any attends to.
func (b Blocks) Spans(from, to, start []int32) []int32 {
	blocks := len(from) / b.Tokens
	spans := make([]int32, 3*blocks)
	for i := range blocks {
		begin, end := i*b.Tokens, (i+1)*b.Tokens
		spans[i], spans[blocks+i] = covering(from[begin:end], to[begin:end], int32(b.Context))
		spans[2*blocks+i] = slices.Min(start[begin:end]) / int32(b.Own)
	}
	return spans
}

// covering returns the blocks of keys, first … last-1, that hold all ranges from …
// to-1.
func covering(from, to []int32, block int32) (first, last int32) {
	first, last = math.MaxInt32, 0
	for i := range from {
		if from[i] < to[i] {
			first, last = min(first, from[i]/block), max(last, (to[i]+block-1)/block)
		}
	}
	return min(first, last), last
}
