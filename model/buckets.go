package model

import (
	"scored/score"
	"scored/target"
)

// Buckets are a target's step shapes for prompts shorter than contextLength, with what a step of each takes there.
func (c Config) Buckets(t target.Target, attention target.Attention, contextLength int) []score.Bucket {
	buckets := t.Ladders[attention](contextLength)
	c.Predict(buckets, t.Price(attention, t.Weights), attention, t.Weights)
	return buckets
}

// Predict sets what a step of each bucket takes by the price, with weights of a dtype.
func (c Config) Predict(buckets []score.Bucket, price target.Price, attention target.Attention, weights target.DType) {
	for i := range buckets {
		buckets[i].Cost = price.Step(c.Work(buckets[i], attention, weights))
	}
}

// Work is what a step of a bucket computes, padding included and the output head left out.
func (c Config) Work(b score.Bucket, attention target.Attention, weights target.DType) target.Work {
	queries, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	linear := c.Layers * (c.HiddenSize*(2*queries+2*keys) + 3*c.HiddenSize*c.IntermediateSize) // weights
	w := target.Work{
		Tokens:      float64(b.Tokens),
		TokenFlops:  float64(2 * linear), // a multiplication and an addition each
		WeightBytes: float64(linear * bytesOfDType(weights)),
		PairFlops:   float64(4 * queries * c.Layers),
		PrefixPairs: float64(b.Tokens * b.Prefix),
	}
	if attention == target.Fused {
		w.PackedTokens = float64(b.Tokens)
	} else {
		w.RowPairs = float64(b.Rows * ownPairs(b.Length))
	}
	return w
}

func bytesOfDType(d target.DType) int {
	if d == target.BFloat16 {
		return 2
	}
	return 4
}

// ownPairs counts the pairs of a query and a key that a row of length tokens computes with itself, block by block.
func ownPairs(length int) int {
	pairs := 0
	for block, end := queryBlock(length), 0; end < length; {
		end += block
		pairs += block * end
	}
	return pairs
}
