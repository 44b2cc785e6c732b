package rounding

import (
	"math"
	"math/rand/v2"
	"testing"
)

const size, vocab = 64, 512

// TestRuleHolds: log-probabilities at the end of a chain of matrix products, one term
// after the other in float32, stay within the rule, and the rule is not much wider than
// they need.
func TestRuleHolds(t *testing.T) {
	for _, layers := range []int{1, 4, 16, 64} {
		random, seen, rule := rand.New(rand.NewPCG(1, 2)), &Seen{}, Shape{Layers: layers + 1, Heads: size, Vocab: vocab}.Float32()
		for range 20 {
			narrow, wide := chain(random, layers)
			for i := range wide {
				if bound := rule.Logprob(wide[i]); !seen.Within(narrow[i], wide[i], bound) {
					t.Errorf("%d layers: %v, want %v within %.2g", layers, narrow[i], wide[i], bound)
				}
			}
		}
		t.Logf("%d layers: %v", layers, seen)
		if seen.share < 0.05 {
			t.Errorf("%d layers: differences reach %.0f %% of the bound; it is too wide", layers, 100*seen.share)
		}
	}
}

// chain returns log-probabilities in float32 and in float64, after as many products as
// layers says, each normed as in a model, and the head's product.
func chain(random *rand.Rand, layers int) (narrow, wide []float64) {
	x, y := make([]float32, size), make([]float64, size)
	for i := range x {
		x[i] = float32(random.NormFloat64())
		y[i] = float64(x[i])
	}
	for range layers {
		x, y = product(random, x, y, size)
		norm(x)
		norm(y)
	}
	x, y = product(random, x, y, vocab)
	return logprobs(x), logprobs(y)
}

// product multiplies with one random matrix, which makes results about twice as large.
func product(random *rand.Rand, x []float32, y []float64, rows int) ([]float32, []float64) {
	narrow, wide := make([]float32, rows), make([]float64, rows)
	for i := range rows {
		for k := range x {
			weight := float32(2 * random.NormFloat64() / math.Sqrt(float64(len(x))))
			narrow[i] += float32(x[k] * weight)
			wide[i] += y[k] * float64(weight)
		}
	}
	return narrow, wide
}

func norm[T float32 | float64](x []T) {
	var squares T
	for _, v := range x {
		squares += v * v
	}
	scale := T(math.Sqrt(float64(len(x)) / float64(squares)))
	for i := range x {
		x[i] *= scale
	}
}

func logprobs[T float32 | float64](logits []T) []float64 {
	sum, all := 0.0, make([]float64, len(logits))
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	for i, v := range logits {
		all[i] = float64(v) - math.Log(sum)
	}
	return all
}

// TestSeen: NaN is within no bound.
func TestSeen(t *testing.T) {
	for _, c := range []struct {
		got, want, bound float64
		within           bool
	}{{1, 1, 0, true}, {1.5, 1, 0.5, true}, {1.5, 1, 0.4, false}, {math.NaN(), 1, 1, false}, {math.Inf(-1), -1, 1, false}} {
		if (&Seen{}).Within(c.got, c.want, c.bound) != c.within {
			t.Errorf("%+v", c)
		}
	}
}
