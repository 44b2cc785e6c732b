// Package rounding says how far a score may be from the exact one, for every test that
// compares scores. Tests of exact laws compare bits instead.
//
// The rule. An operation rounds its result by at most half an ulp, 2^-24 of it in
// float32. Roundings go either way, so n of them move a result like a random walk, by
// about √n · 2^-24 of its size (Higham and Mary, "A new approach to probabilistic
// rounding error analysis", 2019). Nearly all are in the matrix products that lead from a
// token through all layers to a logit: a sum of k terms rounds k products and k
// additions. Where two computed numbers are multiplied, as queries with keys, the
// roundings of both count. A log-probability is a logit less the log-sum-exp of all
// logits, and both have about the size of the log-probability or, if that is larger, that
// of an even choice, ln(vocabulary). So
//
//	bound = √n · 2^-24 · max(|log-probability|, ln vocabulary)
//
// It depends on nothing that a processor or library chooses: the order of sums, fused
// additions, the size of registers. Nor does it grow with the prompt, as attention's
// weights are positive and add up to one, and angles are exact at every position.
// Libraries that add long sums up in blocks stay far below it.
package rounding

import (
	"fmt"
	"math"
	"sync"
)

// Shape has the sizes of a model that count.
type Shape struct {
	Layers int
	Hidden int // size of a token's state
	Heads  int // query heads times their size
	MLP    int
	Vocab  int
}

// Rule bounds the difference of a computed number from the exact one.
type Rule struct {
	relative float64 // √n · half an ulp
	even     float64 // ln(vocabulary)
}

// Float32 is the rule for products of float32. The sums of a layer: queries, keys,
// values, gate and up over the hidden size, the output over the heads, down over the MLP.
// Then the head's over the hidden size.
func (s Shape) Float32() Rule {
	return s.rule(0x1p-24, 2*(s.Layers*(5*s.Hidden+s.Heads+s.MLP)+s.Hidden))
}

// BFloat16 is the rule for products whose inputs and results are rounded to bfloat16,
// half an ulp of which is 2^-9, and whose sums are float32, which does not count beside
// it. A layer rounds 14 times: the state before attention and before the MLP; queries,
// keys and values; queries and keys once more after RoPE; the weights of attention; the
// weighted sum of values, and the output; gate and up; their product, and the result of
// down. The head rounds twice.
func (s Shape) BFloat16() Rule { return s.rule(0x1p-9, 14*s.Layers+2) }

func (s Shape) rule(half float64, roundings int) Rule {
	return Rule{math.Sqrt(float64(roundings)) * half, math.Log(float64(s.Vocab))}
}

// Logprob bounds the natural log of a probability.
func (r Rule) Logprob(exact float64) float64 { return r.relative * max(math.Abs(exact), r.even) }

// Sum bounds the sum of so many log-probabilities, of which only the sum is known. The
// sum of their bounds is largest if one of them is the whole sum.
func (r Rule) Sum(exact float64, terms int) float64 {
	return r.Logprob(exact) + float64(terms-1)*r.Logprob(0)
}

// Score bounds a label's share among labels, the softmax of their log-probabilities v.
// The derivative of a share s by v is s·(1-s), and what counts is the difference of two
// labels' v, which is rounded √2 times as much as one.
func (r Rule) Score(exact float64) float64 { return exact * (1 - exact) * r.Both().Logprob(0) }

// Both is the rule for the difference of two computed numbers.
func (r Rule) Both() Rule { return Rule{r.relative * math.Sqrt2, r.even} }

// Seen keeps the largest difference. Several goroutines may use it.
type Seen struct {
	mu                    sync.Mutex
	any                   bool
	difference, at, share float64
}

// Within notes a number and reports whether it is within the bound of the right one.
func (s *Seen) Within(got, want, bound float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	difference := math.Abs(got - want)
	s.any = true
	if difference > s.difference {
		s.difference, s.at = difference, want
	}
	if bound > 0 {
		s.share = max(s.share, difference/bound)
	}
	return difference <= bound // false for NaN
}

func (s *Seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.any {
		return "none"
	}
	return fmt.Sprintf("largest difference %.2g, of %.3g; at most %.0f %% of the bound",
		s.difference, s.at, 100*s.share)
}
