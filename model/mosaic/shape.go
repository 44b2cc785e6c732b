package mosaic

import (
	"fmt"

	"scored/model/kernel"
)

// Shape is what the kernels are written for.
type Shape struct{ kernel.Shape }

// lanes is how many numbers a register of a TPU holds side by side.
const lanes = 128

// most is how many bytes of fast memory a kernel may ask for, of a device's 128 MiB.
const most = 100 << 20

// Check returns an error that says why there are no kernels of the shape.
func (s Shape) Check() error {
	if s.HeadDim != lanes {
		return fmt.Errorf("heads have %d numbers, kernels are for %d", s.HeadDim, lanes)
	}
	if err := s.Shape.Check(lanes); err != nil {
		return err
	}
	if s.fastMemory() > most {
		return fmt.Errorf("step shape of %d tokens and %d context keys does not fit fast memory",
			s.Tokens, s.Context)
	}
	return nil
}

// Blocks returns how attention is divided. Larger blocks of tokens go over the keys less
// often. With groups of two heads, a block of 256 tokens has 512 queries.
func (s Shape) Blocks() kernel.Blocks {
	rows := 128
	if s.Tokens%256 == 0 && s.Heads/s.KVHeads <= 2 {
		rows = 256
	}
	return kernel.Blocks{Tokens: rows, Context: divisor(s.Context, 512), Own: rows}
}

// fastMemory bounds the bytes of fast memory that Attend takes, which is more than Keys.
func (s Shape) fastMemory() int {
	const work = 16 << 20 // scores, and the blocks of queries and results
	const twice = 2       // the next head's keys and values arrive beside those in use
	return work + twice*2*(s.Tokens+s.Context)*2*s.HeadDim
}

// divisor returns the greatest of most, most/2, … that divides n. most is a power of two.
func divisor(n, most int) int {
	for n%most != 0 {
		most /= 2
	}
	return most
}

// ownBlocks is how many blocks of the step's own tokens a token attends to if no row is
// longer than a block: its own, and the one before, in which the block's first row
// begins.
const ownBlocks = 2

// Cycles returns how many cycles both kernels take on a v6e if no row is longer than a
// block. It counts the instructions that libtpu 0.0.52 schedules for a block of 512
// queries; scripts/kernel-cycles.sh counts them anew.
func (s Shape) Cycles() float64 {
	const (
		keysStep, keysToken = 180, 0.85 // a step of Keys' grid, and each of its tokens
		attendStep          = 600       // a step of Attend's grid, without its keys
		keyBlock, keyPer512 = 235, 1.28 // a block of keys, and each key for 512 queries
		fetch               = 0.13      // copying a token's keys and values
	)
	by := s.Blocks()
	queries := float64(by.Tokens*s.Heads/s.KVHeads) / 512
	blocks := func(keys, size int) float64 {
		return float64(keys/size)*keyBlock +
			float64(keys)*keyPer512*queries
	}
	step := attendStep + blocks(ownBlocks*by.Own, by.Own)
	if s.Context > 0 {
		step += blocks(s.Context, by.Context)
	}
	keys := float64(s.Tokens/s.keysRows())*keysStep + float64(s.Tokens)*keysToken
	return float64(s.KVHeads) * (keys + float64(s.Tokens/by.Tokens)*step +
		fetch*float64(s.Tokens+s.Context))
}
