package server

import (
	"cmp"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// predictDialect is TEI's /predict:
// https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/predict.
func predictDialect() dialect {
	return dialect{name: "predict", accepts: has("inputs"), shape: teiError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readPredict(o)
			if err != nil {
				return nil, err
			}
			return r.parts(id, func(_ *score.Result, numbers [][]float64) any {
				all := make([][]teiClass, len(numbers))
				for i, row := range numbers {
					all[i] = teiClasses(row, m.classes())
				}
				if !r.list {
					return all[0]
				}
				return all
			}), nil
		}}
}

// teiClass is a class and its score, or its logit, in TEI's answer.
type teiClass struct {
	Score float64 `json:"score"`
	Label string  `json:"label"`
}

// teiClasses returns the classes of one text by descending score. Equal ones stay in the
// order of the model.
func teiClasses(row []float64, names []string) (all []teiClass) {
	for k, value := range row {
		all = append(all, teiClass{value, names[k]})
	}
	slices.SortStableFunc(all, func(a, b teiClass) int { return cmp.Compare(b.Score, a.Score) })
	return all
}

// readPredict reads TEI's request. truncate is false unless it is sent; in TEI it
// depends on how the server was started.
func readPredict(o *python.Object) (*classRequest, error) {
	f := fieldsOf(o)
	r := &classRequest{field: "inputs", raw: f.Bool("raw_scores", false),
		cut: f.Bool("truncate", false)}
	r.plainSpecials = f.Bool("split_special_tokens", false)
	r.readInputs(f)
	return r, f.done(teiUnserved())
}

// readInputs reads a text, a list of one text, or a list of such lists. As in TEI, the
// first element tells whether a list is a batch, and all others must be of its kind. TEI
// reads a list of two texts as a pair. A decoder cannot tell a pair from one text, so
// pairs are refused.
func (r *classRequest) readInputs(f *fieldReader) {
	v := f.Get(r.field)
	elements, ok := sglang.ListOf(v)
	if ok && len(elements) == 0 {
		f.fail(r.field, "%s must be a text, or a list of lists of one text", r.field)
		return
	}
	if ok {
		_, one := elements[0].(python.String)
		r.list = !one
	}
	if !r.list {
		r.texts = []score.Part{sequence(f, r.field, v)}
		return
	}
	for i, v := range elements {
		at := element(r.field, i)
		if _, text := v.(python.String); text {
			f.fail(at, "%s is a text, but %s is a list; all must be lists of one text", at,
				element(r.field, 0))
		}
		if r.texts = append(r.texts, sequence(f, at, v)); f.Failed() {
			return
		}
	}
}

// sequence reads what TEI calls a sequence: a text, or a list of one.
func sequence(f *fieldReader, field string, v python.Value) score.Part {
	if list, ok := sglang.ListOf(v); ok {
		for i, v := range list {
			if _, text := v.(python.String); !text {
				f.fail(element(field, i), "%s must be a text", element(field, i))
				break
			}
		}
		if len(list) == 2 {
			f.fail(field, "%s is a pair, which is for rerank; join its texts into one", field)
		}
		v = nil
		if len(list) == 1 {
			v = list[0]
		}
	}
	s, ok := v.(python.String)
	if !ok {
		f.fail(field, "%s must be a text, or a list of one", field)
	}
	return score.Part{Text: f.characters(field, s)}
}
