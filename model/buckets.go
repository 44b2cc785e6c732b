package model

import "scored/score"

// Buckets chooses the step shapes for prompts shorter than contextLength.
//
// Linear layers cost by the packed token, so token counts are closely spaced for rows that stand alone, where a step often
// holds a single prompt. Steps of many rows have up to 512 tokens, beyond which a token costs more and others wait longer.
// Attention is paid for padded rows and for every prefix key, so each token count comes with few long rows, and with many
// short ones. Prefix sizes grow by fours: keys that no token sees still cost, but less than linear layers do. Prefixes too
// long for one step are computed in slices of the largest bucket.
func (c Config) Buckets(contextLength int) []score.Bucket {
	return c.buckets(contextLength, bucketSizes{
		alone:  []int{64, 128, 192, 256, 320, 384, 512, 768, 1024},
		packed: []int{256, 384, 512}, lengths: []int{32, 128}, few: 64,
	}, c.Cost)
}

// WideBuckets is Buckets for accelerators. There a step of less than some 500 tokens waits for the weights, however few it
// has, so small shapes are left out and larger ones take several long rows.
func (c Config) WideBuckets(contextLength int) []score.Bucket {
	return c.buckets(contextLength, bucketSizes{
		alone:  []int{256, 512, 1024},
		packed: []int{256, 512, 1024, 2048}, lengths: []int{32, 128, 512},
	}, c.WideCost)
}

// KernelBuckets is Buckets for attention by kernels (Options.Kernels): they take rows of any length as they lie, so a step
// need not choose its rows' length.
func (c Config) KernelBuckets(contextLength int) []score.Bucket {
	var buckets []score.Bucket
	put := func(prefix int, sizes ...int) {
		for _, tokens := range sizes {
			b := score.Bucket{Tokens: tokens, Rows: tokens / 4, Length: tokens, Prefix: prefix}
			b.Cost = c.KernelCost(b)
			buckets = append(buckets, b)
		}
	}
	for _, prefix := range append([]int{0}, prefixSizes(contextLength, 512)...) { // whole blocks of keys
		if prefix <= shortPrefix {
			put(prefix, 256, 512, 768, 1024, 1280, 1536, 1792, 2048)
		} else {
			put(prefix, 256, 1024, 2048)
		}
	}
	return buckets
}

// shortPrefix is up to where a prefix comes with steps of all sizes.
const shortPrefix = 2048

// prefixSizes grow by fours, up to the first that holds the context. Those longer than shortPrefix are multiples of a number.
func prefixSizes(contextLength, multiple int) (sizes []int) {
	for prefix := 128; ; prefix *= 4 {
		if prefix > shortPrefix {
			whole := (contextLength + multiple - 1) / multiple * multiple
			prefix = min(prefix, max(whole, 4*shortPrefix))
		}
		sizes = append(sizes, prefix)
		if prefix >= contextLength {
			return sizes
		}
	}
}

// bucketSizes are what kinds of buckets differ in.
type bucketSizes struct {
	alone   []int // tokens of steps with one row
	packed  []int // tokens of steps with many rows, with and without a prefix
	lengths []int // of many rows that stand alone
	few     int   // tokens of a small step on a prefix; 0: none
}

func (c Config) buckets(contextLength int, sizes bucketSizes, cost func(score.Bucket) float64) []score.Bucket {
	var buckets []score.Bucket
	put := func(tokens, rows, length, prefix int) {
		b := score.Bucket{Tokens: tokens, Rows: rows, Length: length, Prefix: prefix}
		b.Cost = cost(b)
		buckets = append(buckets, b)
	}
	add := func(tokens, length, prefix int) {
		rows := 1
		switch { // rows are rarely all full
		case length <= 32:
			rows = 2 * tokens / length
		case length < tokens:
			rows = 3 * tokens / (2 * length)
		}
		put(tokens, rows, length, prefix)
	}
	for _, tokens := range sizes.alone {
		add(tokens, tokens, 0)
	}
	for _, tokens := range sizes.packed {
		for _, length := range sizes.lengths {
			if length < tokens {
				add(tokens, length, 0)
			}
		}
	}
	for _, prefix := range prefixSizes(contextLength, 8) { // whole registers of a TPU
		if prefix > shortPrefix {
			add(256, 32, prefix)
			add(256, 256, prefix)
			continue
		}
		if sizes.few > 0 {
			add(sizes.few, 8, prefix)
			put(sizes.few, sizes.few/10, 32, prefix) // short items, a third of the longest on average
			put(2*sizes.few, sizes.few/5, 32, prefix)
		}
		add(256, 8, prefix) // items of a word or two
		add(512, 128, prefix)
		for _, tokens := range sizes.packed {
			add(tokens, 32, prefix)
			add(tokens, 256, prefix)
		}
	}
	return buckets
}

// Cost estimates a step on a CPU in GFLOP: of the linear layers, of both parts of attention, of reading the weights, and a
// fixed part. Fitted to the 48 default shapes on two cores with 32 MiB of shared cache, each within an eighth
// (docs/performance.md).
func (c Config) Cost(b score.Bucket) float64 {
	const (
		// What two cores compute while they read one weight of four bytes, at 190 GFLOP/s and 15 GB/s.
		flopsPerWeight = 50
		fixed          = 2e9
		penalty        = 2.5 // attention takes its time for softmax, and for laying out queries, keys and values
		// A block's hidden states leave the cache in larger steps, which costs each token beyond this much more.
		cached, uncached = 512, 0.15
	)
	linear, attention := c.Flops(b)
	spilled, _ := c.Flops(score.Bucket{Tokens: max(0, b.Tokens-cached)})
	return (linear + uncached*spilled + penalty*attention + flopsPerWeight*c.blockWeights() + fixed) / 1e9
}

// WideCost is Cost on an accelerator, whose linear layers take no less than the time to read their weights.
func (c Config) WideCost(b score.Bucket) float64 {
	const penalty = 2 // by estimate
	linear, attention := c.Flops(b)
	return c.chipCost(linear, penalty*attention)
}

// KernelCost is WideCost for attention by kernels, as if tokens saw the whole prefix that the bucket has room for; kernels stop
// at the last block of keys that any of their tokens sees.
func (c Config) KernelCost(b score.Bucket) float64 {
	const (
		penalty = 3.5  // cycles of a kernel's keys against those of its products alone, by estimate
		own     = 1250 // keys that what a block of tokens costs once, and its own keys, are worth
	)
	linear, _ := c.Flops(score.Bucket{Tokens: b.Tokens})
	_, attention := c.Flops(score.Bucket{Tokens: b.Tokens, Prefix: b.Prefix + own})
	return c.chipCost(linear, penalty*attention)
}

// GPUKernelCost is KernelCost on an NVIDIA GPU, by what an H100 took for Qwen3-0.6B's shape, at 700 TFLOP/s: of 2,048 tokens a
// layer's products took 94 us and what goes beside them token by token 42, attention with a prefix of 128 keys 37 and with
// 2,048 keys 121; between two steps the device waited 0.7 ms.
func (c Config) GPUKernelCost(b score.Bucket) float64 {
	const (
		beside  = 1.45  // of what products cost
		penalty = 1.85  // what a key of the prefix costs, against its products
		own     = 700   // keys that a block of tokens, and its own keys, are worth
		launch  = 42e9  // 60 us: a layer's dozen kernels, however little they do, by estimate
		fixed   = 490e9 // 0.7 ms
	)
	linear, _ := c.Flops(score.Bucket{Tokens: b.Tokens})
	_, attention := c.Flops(score.Bucket{Tokens: b.Tokens, Prefix: b.Prefix + own})
	return (max(beside*linear, launch*float64(c.Layers)) + penalty*attention + fixed) / 1e9
}

// chipCost is the cost of a step on an accelerator, of the operations of linear layers and of what attention takes.
func (c Config) chipCost(linear, attention float64) float64 {
	// What a chip computes while it reads one weight of two bytes: 1,100 FLOP on a v6e, 590 on an H100.
	const flopsPerWeight = 1000
	// Between two steps it stands idle while the host reads scores and queues programs: 0.2 ms of a v6e, by estimate.
	const fixed = 200e9
	return (max(linear, flopsPerWeight*c.blockWeights()) + attention + fixed) / 1e9
}

// blockWeights counts the weights of the linear layers, each a multiplication and an addition a token.
func (c Config) blockWeights() float64 {
	perToken, _ := c.Flops(score.Bucket{Tokens: 1})
	return perToken / 2
}

// Flops counts the floating-point operations of a step's matrix products, padding included and the head left out.
func (c Config) Flops(b score.Bucket) (linear, attention float64) {
	queries, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	perToken := 2 * c.Layers * (c.HiddenSize*(2*queries+2*keys) + 3*c.HiddenSize*c.IntermediateSize)
	perPair := 4 * queries * c.Layers
	pairs := b.Rows*ownPairs(b.Length) + b.Tokens*b.Prefix
	return float64(b.Tokens * perToken), float64(pairs * perPair)
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
