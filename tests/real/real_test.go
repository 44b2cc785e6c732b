// Package real compares scored with transformers in float64 on a trained model,
// SmolLM2-135M-Instruct. The generated weights of other tests have no large activations,
// no skewed attention and no right answers. `make real` fetches the model and runs it.
// vectors.json.gz has transformers' answers, which record.py has recorded.
package real

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	recorded "scored/tests/vectors"

	"scored/tests/rounding"
	"scored/tokenizer"
)

// bucketFlag has few step shapes, which hold all prompts, so that little is compiled.
const bucketFlag = "64x1x64x0,128x1x128x0,512x1x512x0,128x8x64x128,256x8x64x2048,512x1x512x2048"

type vectors struct {
	Requests []request
	Sets     []labelled
}

// request is a query and its items. Tokens are the ids of each item's prompt.
type request struct {
	Name      string
	Query     string
	Items     []string
	ItemFirst bool `json:"item_first"`
	Tokens    [][]int32
	Labels    []int64
	Logprobs  [][]float64
}

func (r request) prompt(item int) string {
	if r.ItemFirst {
		return r.Items[item] + r.Query
	}
	return r.Query + r.Items[item]
}

func read(t *testing.T) (v vectors) {
	t.Helper()
	if err := json.Unmarshal(recorded.Read(t, "vectors.json.gz"), &v); err != nil {
		t.Fatal(err)
	}
	prompts := 0
	for _, r := range v.Requests {
		prompts += len(r.Items)
	}
	if prompts != 200 || len(v.Sets) != 3 {
		t.Fatalf("vectors have %d prompts and %d sets, want 200 and 3", prompts, len(v.Sets))
	}
	return v
}

// TestTokenizer: the folder's tokenizer gives transformers' ids for every prompt.
func TestTokenizer(t *testing.T) {
	tok, err := tokenizer.Open(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, r := range read(t).Requests {
		for i, want := range r.Tokens {
			if got, err := tok.Encode(r.prompt(i), false); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: item %d has ids %v, want %v (error %v)", r.Name, i, got, want, err)
			}
		}
	}
}

// TestFloat32 scores every prompt alone, with the other items of its query, and again
// from the cache; then the labelled sets.
func TestFloat32(t *testing.T) {
	s, v := serve(t, "--dtype", "float32"), read(t)
	t.Run("alone", func(t *testing.T) {
		s, seen := server{t, s.address}, &rounding.Seen{}
		for _, r := range v.Requests {
			for i := range r.Items {
				if len(r.Tokens[i]) > 512 && i > 0 && i < len(r.Items)-1 {
					continue // prompts of one long query take long and differ in a few tokens: two of them are enough
				}
				alone := request{Name: r.Name, Items: []string{r.prompt(i)}, Tokens: r.Tokens[i : i+1], Labels: r.Labels, Logprobs: r.Logprobs[i : i+1]}
				s.check(alone, seen)
			}
		}
		t.Log(seen)
	})
	t.Run("shared and kept", func(t *testing.T) {
		s, cold, warm := server{t, s.address}, &rounding.Seen{}, &rounding.Seen{}
		for _, r := range v.Requests {
			s.flush()
			first := s.check(r, cold)
			again := s.check(r, warm)
			if again < first {
				t.Errorf("%s: %d tokens are not computed the second time, %d the first", r.Name, again, first)
			}
			if long := len(r.Query) > 400 && !r.ItemFirst; long && (first < 2*len(r.Tokens[0]) || again <= first) {
				t.Errorf("%s: %d tokens are not computed at first, then %d; the query is long and shared", r.Name, first, again)
			}
		}
		t.Logf("computed: %s", cold)
		t.Logf("kept: %s", warm)
	})
	t.Run("README", func(t *testing.T) { server{t, s.address}.readme() })
	t.Run("sets", func(t *testing.T) { float32s().check(t, v.Sets, server{t, s.address}.scores) })
}

// check scores the request, compares log-probabilities and returns the number of tokens
// that were not computed for it.
func (s server) check(r request, seen *rounding.Seen) (cached int) {
	s.Helper()
	a := s.score(map[string]any{"query": r.Query, "items": r.Items, "item_first": r.ItemFirst, "label_token_ids": r.Labels, "return_logprobs": true})
	rule, tokens := rule(), 0
	for _, ids := range r.Tokens {
		tokens += len(ids)
	}
	if a.Usage.Prompt != tokens || len(a.Logprobs) != len(r.Items) {
		s.Fatalf("%s: %d rows of %d tokens, want %d of %d", r.Name, len(a.Logprobs), a.Usage.Prompt, len(r.Items), tokens)
	}
	for i, row := range r.Logprobs {
		for k, want := range row {
			if got := a.Logprobs[i][k]; !seen.Within(got, want, rule.Logprob(want)) {
				s.Errorf("%s: item %d label %d is %v, want %v within %.2g", r.Name, i, r.Labels[k], got, want, rule.Logprob(want))
			}
			if got, want := a.Scores[i][k], math.Exp(a.Logprobs[i][k]); math.Abs(got-want) > 1e-12 {
				s.Errorf("%s: item %d label %d scores %v, its log-probability makes it %v", r.Name, i, r.Labels[k], got, want)
			}
		}
	}
	return a.Usage.Cached
}

// rule bounds differences in float32; the shape is the model's.
func rule() rounding.Rule {
	return rounding.Shape{Layers: 30, Hidden: 576, Heads: 576, MLP: 1536, Vocab: 49152}.Float32()
}

// scores returns, for every item, the share of the first label in the two.
func (s server) scores(set labelled) (scores []float64) {
	s.Helper()
	a := s.score(map[string]any{"query": set.Query, "items": set.Items, "labels": set.Labels, "apply_softmax": true})
	for _, row := range a.Scores {
		scores = append(scores, row[0])
	}
	if len(scores) != len(set.Items) || !slices.Equal(a.Labels, set.LabelIDs) {
		s.Fatalf("%s: %d scores of labels %v, want %d of %v", set.Name, len(scores), a.Labels, len(set.Items), set.LabelIDs)
	}
	return scores
}
