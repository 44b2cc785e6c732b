package model

import (
	"scored/model/checkpoint"
	"scored/score/plan"
)

// Memory is what an engine takes on its device, in bytes.
type Memory struct {
	Weights int64
	// Steps bounds what the steps on the device take beside weights and the KV cache:
	// the arrays of a layer, as if all existed at once, the gathered context, and the
	// vocabulary head's arrays, for each step that is queued.
	Steps int64
	// Cache is the KV cache: Options.PrefixCacheBytes, or room for the largest context
	// if that is more, and the engine's own page. It is 0 if no bucket has a context.
	Cache int64
	Page  int64 // a page of the KV cache: plan.PageTokens tokens in all layers
}

// queuedSteps is how many steps are on a device at a time: the one that runs, and one
// behind it.
const queuedSteps = 2

// MemoryOf returns what an engine with these options takes for a model.
func MemoryOf(c checkpoint.Config, o Options) Memory {
	o = o.withProducts()
	m := Memory{
		Weights: c.Parameters() * int64(o.DType.Size()),
		Steps:   stepBytes(c, o),
		Page:    int64(tokenBytes(c, o.Products.Size())) * plan.PageTokens,
	}
	if longest := longestContext(o.Buckets); longest > 0 {
		m.Cache = (max(o.PrefixCacheBytes/m.Page, int64(plan.PagesFor(longest))) + 1) * m.Page
	}
	return m
}

// stepBytes returns Memory.Steps. Native attention is taken to hold three arrays of
// scoreBytes: scores, their exponentials, and a copy.
func stepBytes(c checkpoint.Config, o Options) int64 {
	size := int64(o.Products.Size())
	queries, keys := int64(c.Heads*c.HeadDim), int64(c.KeysValues())
	hidden, mlp := int64(c.HiddenSize), int64(c.IntermediateSize)
	// Of each token: hidden states before and after a layer, in float32; norms, products
	// and the attention output in the dtype of products; keys and values twice, as they
	// are computed and as they are kept.
	token := 2*4*hidden + size*(4*hidden+2*queries+3*keys+3*mlp)
	scores := int64(0)
	if !o.Kernels.Any() {
		scores = 3 * scoreBytes
		token += 4 * (queries + keys) // after RMSNorm and RoPE, in float32
	}
	most := int64(0)
	for _, b := range o.Buckets {
		context := size * keys * int64(b.Context) // gathered
		most = max(most, int64(b.Tokens)*token+context+scores)
	}
	head := int64(lastRows*c.VocabSize) * (4 + size)
	return queuedSteps * (most + head)
}

// longestContext returns the largest context of the buckets, in tokens.
func longestContext(buckets []plan.Bucket) (longest int) {
	for _, b := range buckets {
		longest = max(longest, b.Context)
	}
	return longest
}
