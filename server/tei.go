package server

import (
	"net/http"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// teiDialect is the dialect of Hugging Face's text-embeddings-inference:
// https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/rerank.
func teiDialect() dialect {
	return dialect{name: "tei", accepts: has("texts"), shape: teiError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readTEI(o)
			if err != nil {
				return nil, err
			}
			return r.parts(m, id, func(_ *score.Result, relevance []float64) any {
				ranks := []teiRank{}
				for _, d := range r.rank(relevance) {
					rank := teiRank{Index: d.index, Score: d.relevance}
					if r.withDocuments {
						rank.Text = &r.documents[d.index]
					}
					ranks = append(ranks, rank)
				}
				return ranks
			})
		}}
}

// teiRank is an element of TEI's answer. They are sorted by descending score.
type teiRank struct {
	Index int     `json:"index"` // in the request's texts
	Text  *string `json:"text,omitempty"`
	Score float64 `json:"score"`
}

// teiEmpty is TEI's name of a request without texts.
const teiEmpty = "Empty"

// readTEI reads TEI's request. top_n is an addition of litellm's. No texts at all are a
// fault of their own in TEI, with another status.
func readTEI(o *python.Object) (*rerankRequest, error) {
	f := fieldsOf(o)
	r := &rerankRequest{query: f.text("query", f.Get("query")), field: "texts"}
	if list, ok := sglang.ListOf(f.Get("texts")); ok && len(list) == 0 && !f.Failed() {
		return r, &apiError{status: http.StatusBadRequest, kind: teiEmpty,
			message: "texts cannot be empty", param: "texts"}
	}
	r.documents = f.textList("texts")
	r.topN = f.integer("top_n", 0, 0)
	r.raw = f.Bool("raw_scores", false)
	r.withDocuments = f.Bool("return_text", false)
	r.cut = f.Bool("truncate", false)
	r.remedy = ", or set truncate to have its end cut off"
	r.readInstruction(f)
	return r, f.done(teiUnserved())
}
