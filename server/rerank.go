package server

import (
	"cmp"
	"math"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// rerankDialect is what clients of vLLM, Jina, Cohere and Together send to rerank. sglang-jax has /v1/rerank too, but
// answers 500 to everything, so there is nothing else of it to keep but the envelope of errors.
func rerankDialect() dialect {
	return dialect{name: "rerank", fault: envelope, read: func(s *Server, m *Model, id string, o *python.Object) ([]part, error) {
		r, err := readRerank(o)
		return r.part(m, id, err, func(result *score.Result, relevance []float64) any {
			return rerankResponse{
				ID:      "rerank-" + id,
				Model:   cmp.Or(r.model, s.cfg.ServedModel),
				Usage:   rerankUsage{PromptTokens: result.Usage.PromptTokens, TotalTokens: result.Usage.PromptTokens},
				Meta:    metaOf(result.Usage.PromptTokens),
				Results: r.results(relevance),
			}
		})
	}}
}

// part makes the one part of a dialect that reranks; err is what was wrong with the body. answer makes what is sent, of
// strings and finite numbers.
func (r *rerankRequest) part(m *Model, id string, err error, answer func(*score.Result, []float64) any) ([]part, error) {
	if err == nil {
		err = m.noTemplate
	}
	if err != nil {
		return nil, err
	}
	return []part{{request: r.scoreRequest(id, m.template), answer: func(result *score.Result) (func() string, error) {
		relevance, err := r.relevance(result)
		if err != nil {
			return nil, err
		}
		return func() string { return sglang.JSON(answer(result, relevance)) }, nil
	}}}, nil
}

// rerankResponse is what vLLM answers, less its multi_modal, and Cohere's meta. Clients of Jina, Cohere and Together read
// the same fields, and Vercel's refuse an answer without completion_tokens or meta.
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

// rerankMeta says in Cohere's words what rerankUsage says. A search unit is one request here: nothing is billed.
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

func metaOf(tokens int) (m rerankMeta) {
	m.APIVersion.Version, m.BilledUnits.SearchUnits, m.Tokens.Input = "2", 1, tokens
	return m
}

type rerankResult struct {
	Index    int             `json:"index"` // in the request's documents
	Document *rerankDocument `json:"document,omitempty"`
	Score    float64         `json:"relevance_score"` // the probability of "yes" against "no", or its logit
}

type rerankDocument struct {
	Text string `json:"text"`
}

// relevance gives each document's: the probability of "yes" against "no" or, for raw scores, the logit of that
// probability, which is the difference of the two logits; of a classifier, its class's score or logit.
func (r *rerankRequest) relevance(result *score.Result) ([]float64, error) {
	all := make([]float64, len(result.Scores))
	for i, row := range result.Scores {
		if all[i] = row[0]; !r.raw {
			continue
		}
		if result.Logits != nil {
			all[i] = result.Logits[i][0]
		} else {
			all[i] = result.Logprobs[i][0] - result.Logprobs[i][1] // yes less no
		}
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			field := r.documentField(i)
			return nil, score.Errorf(score.NotFinite, field, "%s has no finite raw score; ask for probabilities", field)
		}
	}
	return all, nil
}

// ranked is a document and its relevance.
type ranked struct {
	index     int
	relevance float64
}

// rank orders the documents by falling relevance, equal ones as the request has them, and keeps the first top_n.
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
