package model

import "scored/score"

// Buckets chooses the step shapes for prompts shorter than contextLength.
//
// Linear layers cost by the packed token, so token counts are closely spaced for rows that stand alone, where a step often
// holds a single prompt. Attention is paid for padded rows and for every prefix key, so each token count comes with few
// long rows, and with many short ones. Prefix sizes grow by fours: keys that no token sees still cost, but less than linear
// layers do. Prefixes too long for one step are computed in slices of the largest bucket.
func (c Config) Buckets(contextLength int) []score.Bucket {
	return c.buckets(contextLength, 256, 512, 1024)
}

// WideBuckets is Buckets for accelerators, where a step of few tokens waits for the weights: it goes to 2048.
func (c Config) WideBuckets(contextLength int) []score.Bucket {
	return c.buckets(contextLength, 256, 512, 1024, 2048)
}

func (c Config) buckets(contextLength int, many ...int) []score.Bucket {
	var buckets []score.Bucket
	add := func(tokens, length, prefix int) {
		rows := max(1, tokens/length)
		if length < tokens {
			rows += rows / 2 // rows are rarely all full
		}
		b := score.Bucket{Tokens: tokens, Rows: rows, Length: length, Prefix: prefix}
		b.Cost = c.Cost(b)
		buckets = append(buckets, b)
	}
	for _, tokens := range []int{64, 128, 192, 256, 320, 384, 512, 768, 1024} {
		add(tokens, tokens, 0)
	}
	for _, tokens := range many {
		add(tokens, 32, 0)
		add(tokens, 128, 0)
	}
	for _, prefix := range []int{128, 512, 2048} {
		add(64, 32, prefix)
		add(512, 128, prefix)
		for _, tokens := range many {
			add(tokens, 32, prefix)
			add(tokens, 256, prefix)
		}
		if prefix >= contextLength {
			return buckets
		}
	}
	for prefix := 8192; ; prefix *= 4 {
		prefix = min(prefix, max((contextLength+7)&^7, 8192)) // whole tiles
		add(256, 32, prefix)
		add(256, 256, prefix)
		if prefix >= contextLength {
			return buckets
		}
	}
}

// Cost estimates a step in GFLOP: of the linear layers, of both parts of attention, which run at about half the rate, and
// a fixed part for starting the step.
func (c Config) Cost(b score.Bucket) float64 {
	linear, attention := c.Flops(b)
	const attentionPenalty, fixed = 2, 2e9
	return (linear + attentionPenalty*attention + fixed) / 1e9
}

// Flops counts the floating-point operations of a step's matrix products, padding included and the head left out.
func (c Config) Flops(b score.Bucket) (linear, attention float64) {
	queries, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	perToken := 2 * c.Layers * (c.HiddenSize*(2*queries+2*keys) + 3*c.HiddenSize*c.IntermediateSize)
	perPair := 4 * queries * c.Layers
	pairs := b.Rows*b.Length*b.Length + b.Tokens*b.Prefix
	return float64(b.Tokens * perToken), float64(pairs * perPair)
}
