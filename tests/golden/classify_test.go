package golden

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
)

// TestClassifiers compares logits with those of transformers' models for sequence
// classification, with and without PEFT's adapters, and scores with their activations.
func TestClassifiers(t *testing.T) {
	var file struct {
		Seed   uint64
		Models []struct {
			Name     string
			Config   json.RawMessage
			Adapters []string
			Cases    []struct {
				Name   string
				Tokens []int64
				Logits []float64
			}
		}
	}
	readJSON(t, "classify", &file)
	backend := plugin(t)
	for _, m := range file.Models {
		t.Run(m.Name, func(t *testing.T) {
			cfg := configOf(t, m.Config)
			options := model.Options{DType: dtypes.Float32, Splicer: backend.splicer, Buckets: fewBuckets(), PrefixCacheBytes: cacheBytes(cfg)}
			scorer := scorerOf(t, backend.Backend, nil, cfg, adapted(t, cfg, file.Seed, m.Adapters), options)
			within := newChecker(cfg, options)
			var items []score.Part
			for _, c := range m.Cases {
				items = append(items, score.Part{IsTokens: true, Tokens: c.Tokens})
			}
			result, err := scorer.Score(t.Context(), &score.Request{Query: score.Part{IsTokens: true}, Items: items, Classify: true})
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range m.Cases {
				scores := activated(cfg.Activation, c.Logits)
				for k, want := range c.Logits {
					where := fmt.Sprintf("%s class %d", c.Name, k)
					within.logprob(t, where, result.Logits[i][k], want)
					if cfg.Activation != checkpoint.Logits {
						within.score(t, where, result.Scores[i][k], scores[k])
					} else if result.Scores[i][k] != result.Logits[i][k] {
						t.Errorf("%s: score is %v, its logit %v", where, result.Scores[i][k], result.Logits[i][k])
					}
				}
			}
			within.log(t)
		})
	}
}

// activated returns the scores by the activation's definition.
func activated(a checkpoint.Activation, logits []float64) (scores []float64) {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(x)
	}
	for _, x := range logits {
		if a == checkpoint.SoftmaxOf {
			scores = append(scores, math.Exp(x)/sum)
		} else {
			scores = append(scores, 1/(1+math.Exp(-x)))
		}
	}
	return scores
}
