package server

import (
	"cmp"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// generativeDialect is vLLM's /generative_scoring. It is like sglang-jax's /v1/score
// with other defaults, and answers one number for each item.
func generativeDialect() dialect {
	return dialect{name: "generative", fault: vllmError,
		read: func(s *Server, m *Model, id string, o *python.Object) ([]part, error) {
			f := fieldsOf(o)
			model, own := f.name("model"), f.name("request_id")
			req := &score.Request{ID: id, Query: f.part("query", f.Get("query")),
				Items: f.items("items"), Labels: f.labels("label_token_ids"),
				Softmax: f.Bool("apply_softmax", true), ItemFirst: f.Bool("item_first", false)}
			if len(req.Items) > 0 && req.Items[0].IsTokens != req.Query.IsTokens {
				f.fail("items[0]", "items[0] is not of the kind of query; all must be texts, or all token ids")
			}
			if !f.Bool("add_special_tokens", true) && !f.Failed() && m.putsSpecials() {
				f.fail("add_special_tokens", "add_special_tokens false is not supported by this "+
					"model's tokenizer; send token ids")
			}
			if err := f.done(scoreUnserved()); err != nil {
				return nil, err
			}
			if err := m.render(req); err != nil {
				return nil, err
			}
			answer := func(result *score.Result) (func() string, error) {
				first := make([]float64, len(result.Scores))
				for i, row := range result.Scores {
					first[i] = row[0]
				}
				return func() string {
					return sglang.JSON(listOf(s, "generative-scoring-"+cmp.Or(own, id), model,
						scoresAs(first), result.Usage))
				}, nil
			}
			return []part{{request: req, answer: answer}}, nil
		}}
}

// putsSpecials reports whether the tokenizer puts tokens around a text, as Llama's
// does.
func (m *Model) putsSpecials() bool {
	if m.Words == nil {
		return false
	}
	ids, err := m.Words.Encode("", false)
	return err != nil || len(ids) > 0
}

// part reads a text, or a list of token ids.
func (f *fieldReader) part(field string, v python.Value) score.Part {
	if s, ok := v.(python.String); ok {
		return score.Part{Text: f.characters(field, s)}
	}
	if _, ok := python.List(v); !ok {
		f.fail(field, "%s must be a text or a list of token ids", field)
	}
	return tokenPart(f.integers(field, v))
}

// items reads a list of at least one text, or of lists of token ids.
func (f *fieldReader) items(field string) []score.Part {
	list, ok := sglang.ListOf(f.Get(field))
	if !ok || len(list) == 0 {
		f.fail(field, "%s must be a list of at least one text, or of lists of token ids", field)
	}
	items := make([]score.Part, len(list))
	for i, item := range list {
		if items[i] = f.part(element(field, i), item); items[i].IsTokens != items[0].IsTokens {
			f.fail(element(field, i), "%s is not of the kind of %s; all must be texts, or all "+
				"token ids", element(field, i), element(field, 0))
		}
		if f.Failed() {
			break
		}
	}
	return items
}

// labels reads a list of at least one token id.
func (f *fieldReader) labels(field string) []score.Label {
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

// integers reads a list of integers.
func (f *fieldReader) integers(field string, v python.Value) sglang.Integers {
	ints, faults := sglang.ReadInts(v, field)
	if len(faults) > 0 {
		at := faults[0].Path()
		f.fail(at, "%s is no token id. %s", at, faults[0].Text())
	}
	return ints
}
