package server

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"

	"scored/score"
)

// routeRerank serves reranking under the three paths that vLLM has for the clients of Jina and of Cohere. sglang-jax has
// /v1/rerank too, by PUT as well, but answers 500 to everything, so there is nothing else of it to keep but the envelope
// of errors.
func (s *Server) routeRerank() {
	for _, path := range []string{"/rerank", "/v1/rerank", "/v2/rerank"} {
		s.router.Post(path, s.handleRerank)
	}
	s.router.Put("/v1/rerank", s.handleRerank)
}

func (s *Server) handleRerank(w http.ResponseWriter, r *http.Request) { s.handle(w, r, s.rerank) }

// rerank is the answerer of reranking: it scores every document and ranks them.
func (s *Server) rerank(ctx context.Context, m *Model, id string, contentType []string, data []byte) (*reply, error) {
	object, err := decodeObject(contentType, data)
	if err != nil {
		return nil, err
	}
	request, err := readRerank(object)
	if err != nil {
		return nil, err
	}
	template, err := m.rerankTemplate()
	if err != nil {
		return nil, err
	}
	scored := request.scoreRequest(id, template)
	scored.Logprobs = request.raw
	result, err := m.Scorer.Score(ctx, scored)
	if err != nil {
		return nil, err
	}
	relevance, err := request.relevance(result)
	if err != nil {
		return nil, err
	}
	return &reply{body: func() string {
		return marshal(rerankResponse{
			ID:      "rerank-" + id,
			Model:   cmp.Or(request.model, s.cfg.ServedModel),
			Usage:   rerankUsage{PromptTokens: result.Usage.PromptTokens, TotalTokens: result.Usage.PromptTokens},
			Meta:    metaOf(result.Usage.PromptTokens),
			Results: request.rank(relevance),
		})
	}, rows: len(result.Scores), timing: result.Timing}, nil
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
// probability, which is the difference of the two logits.
func (r *rerankRequest) relevance(result *score.Result) ([]float64, error) {
	all := make([]float64, len(result.Scores))
	for i, row := range result.Scores {
		if all[i] = row[0]; !r.raw {
			continue
		}
		yes, no := result.Logprobs[i][0], result.Logprobs[i][1]
		if all[i] = yes - no; math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			field := documentField(i)
			return nil, score.Errorf(score.NotFinite, field, "%s has no finite raw score; send use_activation true", field)
		}
	}
	return all, nil
}

// rank orders the documents by falling score, equal ones as the request has them, and keeps the first top_n.
func (r *rerankRequest) rank(relevance []float64) []rerankResult {
	results := make([]rerankResult, len(relevance))
	for i, value := range relevance {
		results[i] = rerankResult{Index: i, Score: value}
	}
	slices.SortStableFunc(results, func(a, b rerankResult) int { return cmp.Compare(b.Score, a.Score) })
	if r.topN > 0 {
		results = results[:min(r.topN, len(results))]
	}
	if r.withDocuments {
		for i := range results {
			results[i].Document = &rerankDocument{Text: r.documents[results[i].Index]}
		}
	}
	return results
}
