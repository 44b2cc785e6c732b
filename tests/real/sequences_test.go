package real

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"scored/tests/rounding"
)

// TestSequences: labels of several tokens, as texts, have the log-likelihoods of
// transformers after each prompt, and transformers' tokens. Their prompt is computed
// once.
func TestSequences(t *testing.T) {
	data, err := os.ReadFile("sequences.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Requests []struct {
			Name, Query   string
			Items, Labels []string
			LabelTokens   [][]int `json:"label_tokens"`
			Tokens        [][]int
			Logprobs      [][]float64
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	s, seen := serve(t, "--dtype", "float32"), &rounding.Seen{}
	for _, r := range vectors.Requests {
		a := s.score(map[string]any{"query": r.Query, "items": r.Items, "labels": r.Labels, "label_mode": "sequence", "return_logprobs": true})
		if !slices.EqualFunc(a.LabelTokens, r.LabelTokens, slices.Equal) {
			t.Errorf("%s: labels are %v, want %v", r.Name, a.LabelTokens, r.LabelTokens)
		}
		labels, prompts, most := 0, 0, 0
		for _, label := range r.LabelTokens {
			labels += len(label)
		}
		for i, row := range r.Logprobs {
			prompts += len(r.Tokens[i])
			most += len(r.Tokens[i]) - 1 + labels
			for k, want := range row {
				if bound := rule().Sum(want, len(r.LabelTokens[k])); !seen.Within(a.Logprobs[i][k], want, bound) {
					t.Errorf("%s: item %d label %q has %v, want %v within %.2g", r.Name, i, r.Labels[k], a.Logprobs[i][k], want, bound)
				}
			}
		}
		if a.Usage.Prompt < prompts || a.Usage.Prompt > most {
			t.Errorf("%s: %d tokens are counted, want the %d of the prompts at least and %d with all labels at most", r.Name, a.Usage.Prompt, prompts, most)
		}
	}
	t.Log(seen)
}
