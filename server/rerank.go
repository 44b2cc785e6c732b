package server

import (
	"cmp"
	"math"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// rerankDialect is the dialect in which clients of vLLM, Jina, Cohere and Together
// rerank. sglang-jax has /v1/rerank, too, but answers 500 to every request. So only its
// envelope of errors is kept.
func rerankDialect() dialect {
	return dialect{name: "rerank", shape: envelope,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readRerank(o)
			if err != nil {
				return nil, err
			}
			return r.parts(m, id, func(result *score.Result, relevance []float64) any {
				return rerankResponse{
					ID:    "rerank-" + id,
					Model: cmp.Or(r.model, m.served),
					Usage: rerankUsage{PromptTokens: result.Usage.PromptTokens,
						TotalTokens: result.Usage.PromptTokens},
					Meta:    metaOf(result.Usage.PromptTokens),
					Results: r.results(relevance),
				}
			})
		}}
}

// parts returns the one part of the request, or why the model cannot rerank. answer
// builds the value to send, of strings and finite numbers, from the relevance of each
// document.
func (r *rerankRequest) parts(m *loaded, id string,
	answer func(*score.Result, []float64) any) ([]part, error) {
	if m.noRerank != nil {
		return nil, m.noRerank
	}
	return []part{{request: m.rerank.request(id, r),
		answer: func(result *score.Result) (func() string, error) {
			relevance, err := r.relevance(result)
			if err != nil {
				return nil, err
			}
			return func() string { return sglang.JSON(answer(result, relevance)) }, nil
		}}}, nil
}

// rerankResponse is vLLM's answer, without its multi_modal, and with Cohere's meta.
// Clients of Jina, Cohere and Together read the same fields. Vercel's refuse an answer
// without completion_tokens or meta.
type rerankResponse struct {
	ID      string         `json:"id"`
	Model   string         `json:"model"`
	Usage   rerankUsage    `json:"usage"`
	Meta    rerankMeta     `json:"meta"`
	Results []rerankResult `json:"results"`
}

// rerankUsage counts every prompt in full: template, instruction, query and document.
type rerankUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"` // always 0
	TotalTokens      int `json:"total_tokens"`
}

// rerankMeta has the numbers of rerankUsage under Cohere's names. A search unit is one
// request here; nothing is billed.
type rerankMeta struct {
	APIVersion struct {
		Version string `json:"version"`
	} `json:"api_version"`
	BilledUnits struct {
		SearchUnits int `json:"search_units"`
	} `json:"billed_units"`
	Tokens struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
	} `json:"tokens"`
}

// metaOf returns the meta of a request of so many tokens.
func metaOf(tokens int) (m rerankMeta) {
	m.APIVersion.Version, m.BilledUnits.SearchUnits, m.Tokens.Input = "2", 1, tokens
	return m
}

// rerankResult is a document and its relevance. Results are sorted by descending
// relevance.
type rerankResult struct {
	Index    int             `json:"index"` // in the request's documents
	Document *rerankDocument `json:"document,omitempty"`
	Score    float64         `json:"relevance_score"` // see relevance
}

// rerankDocument repeats the text that was ranked.
type rerankDocument struct {
	Text string `json:"text"`
}

// relevance returns the relevance of each document. For a language model it is the
// probability of "yes" against "no" or, for raw scores, the logit of that probability,
// which is the difference of the two log-probabilities. For a classifier it is the
// score or the logit of its one class. Raw scores must be finite.
func (r *rerankRequest) relevance(result *score.Result) ([]float64, error) {
	all := make([]float64, len(result.Scores))
	for i, row := range result.Scores {
		if all[i] = row[0]; !r.raw {
			continue
		}
		if result.Logits != nil {
			all[i] = result.Logits[i][0]
		} else {
			all[i] = result.Logprobs[i][0] - result.Logprobs[i][1] // yes minus no
		}
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			field := r.documentField(i)
			return nil, score.Errorf(score.NotFinite, field,
				"%s has no finite raw score; ask for probabilities", field)
		}
	}
	return all, nil
}

// ranked is a document, by its index in the request, and its relevance.
type ranked struct {
	index     int
	relevance float64
}

// rank sorts the documents by descending relevance and keeps the first top_n. Equal
// ones stay in the order of the request.
func (r *rerankRequest) rank(relevance []float64) []ranked {
	all := make([]ranked, len(relevance))
	for i, value := range relevance {
		all[i] = ranked{i, value}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.relevance, a.relevance) })
	if r.topN > 0 {
		all = all[:min(r.topN, len(all))]
	}
	return all
}

// results makes the entries of the answer.
func (r *rerankRequest) results(relevance []float64) []rerankResult {
	results := []rerankResult{}
	for _, d := range r.rank(relevance) {
		result := rerankResult{Index: d.index, Score: d.relevance}
		if r.withDocuments {
			result.Document = &rerankDocument{Text: r.documents[d.index]}
		}
		results = append(results, result)
	}
	return results
}
