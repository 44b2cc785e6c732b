package golden

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/score"
)

// readouts are requests that read labels at several places of a prompt: see generate.py.
type readouts struct {
	Positions []struct {
		goldenRequest
		Positions []int64
		Logprobs  [][][]float64
	}
	Sequences []struct {
		goldenRequest
		Labels   [][]int64
		Logprobs [][]float64
	}
}

// TestReadouts: labels behind several tokens of an item, and labels of several tokens,
// score as in transformers, when the prompt is computed and when it is kept.
func TestReadouts(t *testing.T) {
	var all readouts
	readJSON(t, "readouts", &all)
	v, cfg := read(t, "readouts")
	on := plugin(t)
	for name, options := range map[string]model.Options{
		"loops": {DType: dtypes.Float32}, "no loops": {DType: dtypes.Float32, Scatter: true},
	} {
		t.Run(name, func(t *testing.T) {
			options.Splicer, options.Buckets, options.PrefixCacheBytes = on.splicer, buckets(), cacheBytes(cfg)
			scorer, within := newScorer(t, on.Backend, nil, cfg, v.Seed, options), newChecker(cfg, options)
			for _, state := range []string{"computed", "kept"} {
				all.check(t, scorer, within, state)
			}
			within.log(t)
		})
	}
}

func (all *readouts) check(t *testing.T, scorer *score.Scorer, within *checker, state string) {
	t.Helper()
	for _, r := range all.Positions {
		req := r.scoring(r.goldenRequest.Labels)
		req.Positions = r.Positions
		result := scored(t, scorer, r.Name, req)
		for i := range r.Items {
			for n, p := range r.Positions {
				for k := range r.goldenRequest.Labels {
					where := fmt.Sprintf("%s, %s: item %d position %d label %d", r.Name, state, i, p, k)
					within.logprob(t, where, result.PositionLogprobs[i][n][k], r.Logprobs[i][n][k])
				}
			}
		}
	}
	for _, r := range all.Sequences {
		req := r.scoring(nil)
		req.Sequences = r.Labels
		result := scored(t, scorer, r.Name, req)
		for i := range r.Items {
			for k, label := range r.Labels {
				within.sum(t, fmt.Sprintf("%s, %s: item %d label %d", r.Name, state, i, k), result.Logprobs[i][k], r.Logprobs[i][k], len(label))
			}
		}
	}
}

// scoring returns a request for log-probabilities.
func (r goldenRequest) scoring(labels []int64) *score.Request {
	req := &score.Request{Query: score.Part{IsTokens: true, Tokens: r.Query}, ItemFirst: r.ItemFirst, Logprobs: true}
	for _, item := range r.Items {
		req.Items = append(req.Items, score.Part{IsTokens: true, Tokens: item})
	}
	for _, label := range labels {
		req.Labels = append(req.Labels, score.Label{ID: label})
	}
	return req
}

func scored(t *testing.T, scorer *score.Scorer, name string, req *score.Request) *score.Result {
	t.Helper()
	result, err := scorer.Score(t.Context(), req)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return result
}
