package target

import "time"

// Price is what steps take on a device: one formula, whose coefficients are a row's own or `scored calibrate`'s.
//
//	Idle + max(linear / Flops, weights / Bytes) + attention / Attention
//
// Every token beyond CachedTokens costs Uncached more in the linear layers.
type Price struct {
	Idle      float64 `json:"idle_seconds"`            // a step's fixed part
	Flops     float64 `json:"flops_per_second"`        // of linear layers
	Bytes     float64 `json:"weight_bytes_per_second"` // at which weights are read
	Attention float64 `json:"attention_flops_per_second"`
	// TokenKeys is how many keys a token's own part of attention is worth to a kernel, beside those of the prefix.
	TokenKeys float64 `json:"token_keys,omitempty"`

	CachedTokens float64 `json:"cached_tokens,omitempty"` // as many tokens' hidden states stay in the cache
	Uncached     float64 `json:"uncached,omitempty"`      // what a token beyond costs more, as a share
}

// Work is what a step of a shape computes, padding included and the output head left out.
type Work struct {
	Tokens       float64
	TokenFlops   float64 // of the linear layers, a token
	WeightBytes  float64 // of the linear layers
	PairFlops    float64 // of attention, a pair of a query and a key
	RowPairs     float64 // pairs within rows; for kernels, which Price.TokenKeys rates, 0
	PrefixPairs  float64 // pairs of a token and a key of the prefix
	PackedTokens float64 // tokens whose own part of attention a kernel computes; else 0
}

// Flops counts the floating-point operations of the matrix products.
func (w Work) Flops() float64 { return w.Tokens*w.TokenFlops + (w.RowPairs+w.PrefixPairs)*w.PairFlops }

// Step is the predicted duration of one step, full or not.
func (p Price) Step(w Work) time.Duration {
	return time.Duration(p.seconds(w) * float64(time.Second))
}

func (p Price) seconds(w Work) float64 {
	tokens := w.Tokens
	if p.CachedTokens > 0 {
		tokens += p.Uncached * max(0, w.Tokens-p.CachedTokens)
	}
	pairs := w.RowPairs + w.PrefixPairs + p.TokenKeys*w.PackedTokens
	return p.Idle + max(tokens*w.TokenFlops/p.Flops, w.WeightBytes/p.Bytes) + pairs*w.PairFlops/p.Attention
}

// Valid tells whether the price can rate every step.
func (p Price) Valid() bool {
	return p.Idle >= 0 && p.Flops > 0 && p.Bytes > 0 && p.Attention > 0 && p.TokenKeys >= 0 && p.CachedTokens >= 0 && p.Uncached >= 0
}
