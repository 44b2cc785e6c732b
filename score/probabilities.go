package score

import "math"

// probabilities writes exp(logprobs) to scores, which may be the same slice.
func probabilities(scores, logprobs []float64) {
	for i, v := range logprobs {
		scores[i] = probability(v)
	}
}

// probability returns exp(logprob), at most 1: rounding may put the log of a certain
// label just above 0.
func probability(logprob float64) float64 { return min(math.Exp(logprob), 1) }

// softmax writes exp(v - max) / sum over the labels to scores, which may be the same
// slice as logprobs. The scores depend on differences of values only. If every label
// has probability 0, they share 1 equally.
func softmax(scores, logprobs []float64) {
	top := math.Inf(-1)
	for _, v := range logprobs {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range logprobs {
		scores[i] = 1
		if v != top {
			scores[i] = math.Exp(v - top)
		}
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}
