package model

import "scored/score/plan"

// queuedSteps is how many steps are on a device at a time: one that runs, and one
// behind it.
const queuedSteps = 2

// StepBytes bounds what steps of an engine with the options take on a device beside
// weights and the KV cache: the arrays of a layer, all taken to be there at once, its
// context, and what the vocabulary head makes, for each step that is queued. What
// native attention holds of scores is taken to be three times Options.ScoreBytes:
// scores, their powers, and a copy.
func (c Config) StepBytes(o Options) (most int64) {
	size := int64(o.Products.Size())
	if size == 0 {
		size = int64(o.DType.Size())
	}
	queries, keys := int64(c.Heads*c.HeadDim), int64(2*c.KVHeads*c.HeadDim)
	hidden, mlp := int64(c.HiddenSize), int64(c.IntermediateSize)
	// Hidden states before and behind, in float32; norms, products and what is mixed in
	// the dtype of products; keys and values twice, as they are made and as they are
	// kept.
	token := 2*4*hidden + size*(4*hidden+2*queries+3*keys+3*mlp)
	scores := int64(0)
	if !o.Kernels.Any() {
		held := int64(o.ScoreBytes)
		if held == 0 {
			held = scoreBytes
		}
		scores = 3 * held
		token += 4 * (queries + keys) // normed and turned in float32
	}
	for _, b := range o.Buckets {
		context := size * keys * int64(b.Context) // gathered
		most = max(most, int64(b.Tokens)*token+context+scores)
	}
	head := int64(lastRows*c.VocabSize) * (4 + size)
	return queuedSteps * (most + head)
}

// CacheBytes is what the KV cache of an engine with the options takes on a device:
// Options.PrefixCacheBytes, or room for the largest context if that is more, and the
// engine's own page.
func (c Config) CacheBytes(o Options) int64 {
	products := o.Products
	if products.Size() == 0 {
		products = o.DType
	}
	longest := 0
	for _, b := range o.Buckets {
		longest = max(longest, b.Context)
	}
	if longest == 0 {
		return 0
	}
	page := c.PageBytes(products)
	return (max(o.PrefixCacheBytes/page, int64(plan.PagesFor(longest))) + 1) * page
}
