package server

import (
	"cmp"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// generativeDialect is vLLM's /generative_scoring. It is like sglang-jax's /v1/score with
// other defaults, and answers one number for each item: the score of the first label.
func generativeDialect() dialect {
	return dialect{name: "generative", shape: vllmError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readGenerative(o, m.Words)
			if err != nil {
				return nil, err
			}
			r.score.ID = id
			if err := render(m.template, r.score); err != nil {
				return nil, err
			}
			answer := func(result *score.Result) (func() string, error) {
				first := make([]float64, len(result.Scores))
				for i, row := range result.Scores {
					first[i] = row[0]
				}
				return func() string {
					return sglang.JSON(listOf("generative-scoring-"+cmp.Or(r.requestID, id),
						cmp.Or(r.model, m.served), scoresAs(first), result.Usage))
				}, nil
			}
			return []part{{request: r.score, answer: answer}}, nil
		}}
}

// generativeRequest is a body of /generative_scoring.
type generativeRequest struct {
	model, requestID string // "" if not given
	score            *score.Request
}

// readGenerative reads a body, without its request's ID. words is nil if there is no
// tokenizer.
func readGenerative(o *python.Object, words Words) (*generativeRequest, error) {
	f := fieldsOf(o)
	r := &generativeRequest{model: f.name("model"), requestID: f.name("request_id")}
	r.score = &score.Request{Query: f.part("query", f.Get("query")), Items: f.items("items"),
		Labels:  readLabels(f),
		Softmax: f.Bool("apply_softmax", true), ItemFirst: f.Bool("item_first", false)}
	if items := r.score.Items; len(items) > 0 && items[0].IsTokens != r.score.Query.IsTokens {
		f.fail("items[0]", "items[0] is not of the kind of query; all must be texts, or all token ids")
	}
	f.specials(words)
	return r, f.done(scoreUnserved())
}

// readLabels reads label_token_ids, a list of at least one token id. Labels in fields of
// /v1/score get an error that tells where they may be sent.
func readLabels(f *fieldReader) []score.Label {
	const field = "label_token_ids"
	v := f.Get(field)
	if list, _ := sglang.ListOf(v); len(list) == 0 {
		elsewhere := ""
		if v == nil && (f.Get("labels") != nil || f.Get("label_tokens") != nil) {
			elsewhere = "; labels that are texts, or of several tokens, are for /v1/score"
		}
		f.fail(field, "%s must be a list of at least one token id%s", field, elsewhere)
		return nil
	}
	return labelsOf(f.integers(field, v))
}
