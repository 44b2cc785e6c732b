package model

import (
	"time"

	"scored/model/checkpoint"
	"scored/score/plan"
	"scored/target"
)

// Costs counts what steps of a model compute, and predicts how long they take.
type Costs struct {
	Config    checkpoint.Config
	Attention target.Attention
	Weights   target.DType // of the weights on the device
}

// Predict sets the cost of each bucket: how long a step of it takes on the target by
// the price. Attention to the context is part of the cost only where a step attends to
// the whole context of its bucket. Elsewhere it follows the keys that are there, and
// Bucket.Pair or Bucket.Key is its price: see packed and banded.
func (c Costs) Predict(buckets []plan.Bucket, t target.Target, price target.Price) {
	for i := range buckets {
		b := &buckets[i]
		keys := 0
		pair := float64(c.pairFlops()) / price.Attention * 1e9 // nanoseconds
		switch {
		case c.Attention == target.Fused:
			b.Pair = pair
		case t.HostLoops:
			keys = b.Context
		default:
			b.Key = pair * float64(b.Tokens)
		}
		b.Cost = price.Step(c.Work(*b, keys))
		if c.Attention == target.Fused && t.Bandwidth > 0 {
			// The context is gathered first: it is read and written once.
			b.Cost += time.Duration(float64(2*b.Context*tokenBytes(c.Config, 2)) / t.Bandwidth * 1e9)
		}
	}
}

// Work returns what a step of a bucket computes if each of its tokens attends to keys
// keys of the context. Padding is included, the output head is not.
func (c Costs) Work(b plan.Bucket, keys int) target.Work {
	m := c.Config
	queries, kv := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	linear := m.Layers * (m.HiddenSize*(2*queries+2*kv) + 3*m.HiddenSize*m.IntermediateSize) // weights
	w := target.Work{
		Tokens:      float64(b.Tokens),
		TokenFlops:  float64(2 * linear), // a multiplication and an addition each
		WeightBytes: float64(linear * bytesOfDType(c.Weights)),
		PairFlops:   float64(c.pairFlops()),
		PrefixPairs: float64(b.Tokens * keys),
	}
	if c.Attention == target.Fused {
		w.PackedTokens = float64(b.Tokens)
	} else {
		w.RowPairs = float64(bandOf(b.Tokens, b.Length).pairs(b.Tokens, b.Length))
	}
	return w
}

// pairFlops returns the operations for a pair of a query and a key in all layers and
// heads: E multiplications and additions for the score, and as many for the value.
func (c Costs) pairFlops() int { return 4 * c.Config.Heads * c.Config.HeadDim * c.Config.Layers }

// tokenBytes returns the bytes of a token's keys and values in all layers, for numbers
// of so many bytes.
func tokenBytes(c checkpoint.Config, number int) int { return c.Layers * c.KeysValues() * number }

func bytesOfDType(d target.DType) int {
	if d == target.BFloat16 {
		return 2
	}
	return 4
}
