package mosaic

import (
	"fmt"
	"math"
	"slices"
)

// Shape is what the kernels of a block are written for: T packed tokens of H query heads and K key-value heads of E
// numbers, beside a context of C keys. G = H/K query heads share a key-value head.
type Shape struct {
	Tokens, Context         int
	Heads, KVHeads, HeadDim int
	// Norm tells whether queries and keys are normed; Eps is added to their mean square.
	Norm bool
	Eps  float64
}

// lanes is how many numbers a register of a TPU holds side by side.
const lanes = 128

// most is how much fast memory a kernel may ask for, of 128 MiB.
const most = 100 << 20

// Check says why there are no kernels of the shape.
func (s Shape) Check() error {
	switch {
	case s.HeadDim != lanes:
		return fmt.Errorf("heads have %d numbers, kernels are for %d", s.HeadDim, lanes)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d query heads do not share %d key-value heads evenly", s.Heads, s.KVHeads)
	case s.Tokens%lanes != 0 || s.Context%lanes != 0:
		return fmt.Errorf("step shape has %d tokens and %d context keys, kernels take multiples of %d", s.Tokens, s.Context, lanes)
	case s.fastMemory() > most:
		return fmt.Errorf("step shape of %d tokens and %d context keys does not fit fast memory", s.Tokens, s.Context)
	}
	return nil
}

// Block is how many tokens attend at a time, and to how many of the step's own tokens.
func (s Shape) Block() int {
	if s.Tokens%256 == 0 && s.Heads/s.KVHeads <= 2 {
		return 256
	}
	return 128
}

// ContextBlock is to how many context keys tokens attend at a time.
func (s Shape) ContextBlock() int { return divisor(s.Context, 512) }

func (s Shape) fastMemory() int {
	const work = 16 << 20 // scores, and the blocks of queries and results
	twice := 2            // the next head's keys and values arrive beside those in use
	return work + twice*2*(s.Tokens+s.Context)*2*s.HeadDim
}

// divisor is the greatest of most, most/2, … that divides n.
func divisor(n, most int) int {
	for n%most != 0 {
		most /= 2
	}
	return most
}

// Spans are Attend's spans for what each token sees: for each block of tokens the first block of context keys that any of
// them sees, then for each one past the last, equal to the first if they see none, and then for each the first block of the
// step's own keys that any of them sees.
func (s Shape) Spans(from, to, start []int32) []int32 {
	rows := s.Block()
	blocks := s.Tokens / rows
	spans := make([]int32, 3*blocks)
	for i := range blocks {
		first, last := i*rows, (i+1)*rows
		if s.Context > 0 {
			spans[i], spans[blocks+i] = covering(from[first:last], to[first:last], int32(s.ContextBlock()))
		}
		spans[2*blocks+i] = slices.Min(start[first:last]) / int32(rows)
	}
	return spans
}

// covering are the blocks of keys, from first to one before last, in which all ranges from … to-1 lie.
func covering(from, to []int32, block int32) (first, last int32) {
	first, last = math.MaxInt32, 0
	for i := range from {
		if from[i] < to[i] {
			first, last = min(first, from[i]/block), max(last, (to[i]+block-1)/block)
		}
	}
	return min(first, last), last
}

// ownBlocks is to how many blocks of the step's own tokens a token attends if no row is longer than a block: its own, and the
// one before, in which the block's first row begins.
const ownBlocks = 2

// Cycles is how long both kernels take on a v6e, by the instructions that libtpu 0.0.52 schedules for a block of 512 queries
// (scripts/kernel-cycles.sh counts them), if no row is longer than a block.
func (s Shape) Cycles() float64 {
	const (
		keysStep, keysToken = 180, 0.85 // a step of Keys' grid, and each of its tokens
		attendStep          = 600       // a step of Attend's grid, without its keys
		keyBlock, keyPer512 = 235, 1.28 // a block of keys, and each key for 512 queries
		fetch               = 0.13      // a token's keys and values on their way to where a head's steps find them
	)
	rows := s.Block()
	queries := float64(rows*s.Heads/s.KVHeads) / 512
	blocks := func(keys, size int) float64 { return float64(keys/size)*keyBlock + float64(keys)*keyPer512*queries }
	step := attendStep + blocks(ownBlocks*rows, rows)
	if s.Context > 0 {
		step += blocks(s.Context, s.ContextBlock())
	}
	keys := float64(s.Tokens/s.keysRows())*keysStep + float64(s.Tokens)*keysToken
	return float64(s.KVHeads) * (keys + float64(s.Tokens/rows)*step + fetch*float64(s.Tokens+s.Context))
}
