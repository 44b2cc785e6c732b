package target

import "time"

// Price predicts how long steps take on a device. The coefficients are those of the
// device's row in the table, or measured by `scored calibrate`. The formula, in
// seconds, is
//
//	Idle + max(linear / Flops, weights / Bytes) + attention / Attention
//
// Every token beyond CachedTokens costs the share Uncached more in the linear layers.
type Price struct {
	Idle      float64 `json:"idle_seconds"`            // fixed part of a step
	Flops     float64 `json:"flops_per_second"`        // rate of the linear layers
	Bytes     float64 `json:"weight_bytes_per_second"` // rate of reading weights
	Attention float64 `json:"attention_flops_per_second"`
	// TokenKeys is the cost of a token's attention within its row, in a kernel, counted
	// in keys of a prefix.
	TokenKeys float64 `json:"token_keys,omitempty"`

	CachedTokens float64 `json:"cached_tokens,omitempty"` // tokens whose hidden states fit the cache
	Uncached     float64 `json:"uncached,omitempty"`      // additional cost of a token beyond, a share
}

// Work is what a step of a shape computes, padding included, without the output head.
type Work struct {
	Tokens       float64
	TokenFlops   float64 // of the linear layers, for each token
	WeightBytes  float64 // of the linear layers
	PairFlops    float64 // of attention, for each pair of a query and a key
	RowPairs     float64 // pairs within rows; 0 for kernels, where Price.TokenKeys counts
	PrefixPairs  float64 // pairs of a token and a key of the prefix
	PackedTokens float64 // tokens whose attention within rows a kernel computes; else 0
}

// Flops returns the floating-point operations of the matrix products.
func (w Work) Flops() float64 {
	return w.Tokens*w.TokenFlops + (w.RowPairs+w.PrefixPairs)*w.PairFlops
}

// Step returns the predicted duration of one step, full or not.
func (p Price) Step(w Work) time.Duration {
	return time.Duration(p.seconds(w) * float64(time.Second))
}

// seconds returns the predicted duration of one step in seconds.
func (p Price) seconds(w Work) float64 {
	tokens := w.Tokens
	if p.CachedTokens > 0 {
		tokens += p.Uncached * max(0, w.Tokens-p.CachedTokens)
	}
	pairs := w.RowPairs + w.PrefixPairs + p.TokenKeys*w.PackedTokens
	return p.Idle + max(tokens*w.TokenFlops/p.Flops, w.WeightBytes/p.Bytes) +
		pairs*w.PairFlops/p.Attention
}

// Valid reports whether the price predicts a duration for every step.
func (p Price) Valid() bool {
	return p.Idle >= 0 && p.Flops > 0 && p.Bytes > 0 && p.Attention > 0 && p.TokenKeys >= 0 &&
		p.CachedTokens >= 0 && p.Uncached >= 0
}
