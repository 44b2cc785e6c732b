package golden

import (
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/tests/rounding"
)

// checker checks numbers against the bounds of their model. Several goroutines may use
// it.
type checker struct {
	rule             rounding.Rule
	logprobs, scores rounding.Seen
}

// newChecker returns a checker with the rule for the dtype of the model's products.
func newChecker(cfg checkpoint.Config, options model.Options) *checker {
	shape := rounding.Shape{Layers: cfg.Layers, Hidden: cfg.HiddenSize, Heads: cfg.Heads * cfg.HeadDim, MLP: cfg.IntermediateSize, Vocab: cfg.VocabSize}
	if options.DType == dtypes.BFloat16 && options.Products != dtypes.Float32 {
		return &checker{rule: shape.BFloat16()}
	}
	return &checker{rule: shape.Float32()}
}

func (c *checker) logprob(t *testing.T, where string, got, want float64) {
	t.Helper()
	if bound := c.rule.Logprob(want); !c.logprobs.Within(got, want, bound) {
		t.Errorf("%s: log-probability is %v, want %v within %.2g", where, got, want, bound)
	}
}

// sum checks the sum of so many log-probabilities against its bound.
func (c *checker) sum(t *testing.T, where string, got, want float64, terms int) {
	t.Helper()
	if bound := c.rule.Sum(want, terms); !c.logprobs.Within(got, want, bound) {
		t.Errorf("%s: sum of %d log-probabilities is %v, want %v within %.2g", where, terms, got, want, bound)
	}
}

func (c *checker) score(t *testing.T, where string, got, want float64) {
	t.Helper()
	if bound := c.rule.Score(want); !c.scores.Within(got, want, bound) {
		t.Errorf("%s: score is %v, want %v within %.2g", where, got, want, bound)
	}
}

// log logs the largest differences.
func (c *checker) log(t *testing.T) {
	t.Helper()
	t.Logf("log-probabilities: %v; scores: %v", &c.logprobs, &c.scores)
}
