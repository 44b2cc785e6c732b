package model

import (
	"time"

	"github.com/gomlx/compute/dtypes"

	"scored/score/plan"
	"scored/target"
)

// Buckets are a target's step shapes for prompts shorter than contextLength, with what
// a step of each takes there.
func (c Config) Buckets(t target.Target, attention target.Attention,
	contextLength int) []plan.Bucket {
	buckets := t.Ladders[attention](contextLength)
	c.Predict(buckets, t, t.Price(attention, t.Weights), attention, t.Weights)
	return buckets
}

// Predict sets what a step of each bucket takes on a target by the price, with weights
// of a dtype. What attention to the context takes is part of a bucket's cost only where
// all of the context is attended to: see banded and packed.
func (c Config) Predict(buckets []plan.Bucket, t target.Target, price target.Price,
	attention target.Attention, weights target.DType) {
	for i := range buckets {
		b := &buckets[i]
		keys := 0
		pair := float64(c.pairFlops()) / price.Attention * 1e9
		switch {
		case attention == target.Fused:
			b.Pair = pair
		case t.HostLoops:
			keys = b.Context
		default:
			b.Key = pair * float64(b.Tokens)
		}
		b.Cost = price.Step(c.Work(*b, attention, weights, keys))
		if attention == target.Fused && t.Bandwidth > 0 {
			b.Cost += time.Duration(float64(2*b.Context*c.tokenBytes(2)) / t.Bandwidth * 1e9) // gathered first
		}
	}
}

// Work is what a step of a bucket computes, padding included and the output head left
// out, if its tokens attend to so many keys of the context each.
func (c Config) Work(b plan.Bucket, attention target.Attention, weights target.DType,
	keys int) target.Work {
	queries, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	linear := c.Layers * (c.HiddenSize*(2*queries+2*kv) + 3*c.HiddenSize*c.IntermediateSize) // weights
	w := target.Work{
		Tokens:      float64(b.Tokens),
		TokenFlops:  float64(2 * linear), // a multiplication and an addition each
		WeightBytes: float64(linear * bytesOfDType(weights)),
		PairFlops:   float64(c.pairFlops()),
		PrefixPairs: float64(b.Tokens * keys),
	}
	if attention == target.Fused {
		w.PackedTokens = float64(b.Tokens)
	} else {
		w.RowPairs = float64(bandOf(b.Tokens, b.Length).pairs(b.Tokens, b.Length))
	}
	return w
}

// pairFlops counts the operations of a pair of a query and a key, in all layers and
// heads.
func (c Config) pairFlops() int { return 4 * c.Heads * c.HeadDim * c.Layers }

// tokenBytes are those of a token's keys and values in all layers, of numbers of so
// many bytes.
func (c Config) tokenBytes(number int) int { return 2 * c.Layers * c.KVHeads * c.HeadDim * number }

// PageBytes is how many bytes a page of the KV cache takes in all layers, of keys and
// values of the dtype.
func (c Config) PageBytes(products dtypes.DType) int64 {
	return int64(c.tokenBytes(products.Size())) * plan.PageTokens
}

func bytesOfDType(d target.DType) int {
	if d == target.BFloat16 {
		return 2
	}
	return 4
}
