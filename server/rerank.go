package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

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
	begin := time.Now()
	rows, err := m.rerankRows(ctx, request)
	if err != nil {
		return nil, err
	}
	encoded := time.Since(begin)
	rows.ID = id
	result, err := m.Scorer.Score(ctx, rows)
	if err != nil {
		return nil, documentError(err)
	}
	result.Timing.Encode += encoded
	return &reply{body: func() string {
		return marshal(rerankResponse{
			ID:      "rerank-" + id,
			Model:   cmp.Or(request.model, s.cfg.ServedModel),
			Usage:   rerankUsage{PromptTokens: result.Usage.PromptTokens, TotalTokens: result.Usage.PromptTokens},
			Results: request.rank(result.Scores),
		})
	}, rows: len(result.Scores), timing: result.Timing}, nil
}

// rerankResponse is what vLLM answers, less its multi_modal; Jina's and Cohere's clients read the same fields.
type rerankResponse struct {
	ID      string         `json:"id"`
	Model   string         `json:"model"`
	Usage   rerankUsage    `json:"usage"`
	Results []rerankResult `json:"results"`
}

// rerankUsage counts every prompt in full: template, instruction, query and document.
type rerankUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

type rerankResult struct {
	Index    int             `json:"index"` // in the request's documents
	Document *rerankDocument `json:"document,omitempty"`
	Score    float64         `json:"relevance_score"` // the probability of "yes" against "no"
}

type rerankDocument struct {
	Text string `json:"text"`
}

// rank orders the documents by falling score, equal ones as the request has them, and keeps the first top_n. Row i of
// scores begins with document i's relevance.
func (r *rerankRequest) rank(scores [][]float64) []rerankResult {
	results := make([]rerankResult, len(scores))
	for i, row := range scores {
		results[i] = rerankResult{Index: i, Score: row[0]}
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

// documentError calls the domain's items what the client calls them.
func documentError(err error) error {
	var domain *score.Error
	if !errors.As(err, &domain) || !strings.HasPrefix(domain.Param, "items[") {
		return err
	}
	renamed := *domain
	renamed.Param = "documents" + strings.TrimPrefix(domain.Param, "items")
	renamed.Message = strings.ReplaceAll(domain.Message, domain.Param, renamed.Param)
	return &renamed
}
