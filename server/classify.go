package server

import (
	"cmp"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// classRequest is a request for a classifier's classes, in any dialect.
type classRequest struct {
	model, requestID string // "" if not given
	field            string // the client's name of its texts
	texts            []score.Part
	list             bool // the client sent a list, even if of one text
	raw              bool // logits instead of scores
	cut              bool // cut the end off a text that is too long
	plainSpecials    bool
}

// part returns the single part of a dialect that classifies. err is the error of
// reading the body; if it is not nil, part returns it. answer builds the value to send
// from a row of finite numbers for each text.
func (r *classRequest) part(id string, err error,
	answer func(*score.Result, [][]float64) any) ([]part, error) {
	if err != nil {
		return nil, err
	}
	req := &score.Request{ID: id, Items: r.texts, ItemField: r.field, OneItem: !r.list,
		Classify: true, Truncate: r.cut,
		PlainSpecials: r.plainSpecials}
	req.Query.IsTokens = r.texts[0].IsTokens
	return []part{{request: req, answer: func(result *score.Result) (func() string, error) {
		numbers := result.Scores
		if r.raw {
			numbers = result.Logits
		}
		return func() string { return sglang.JSON(answer(result, numbers)) }, nil
	}}}, nil
}

// classifyDialect is vLLM's /classify:
// https://docs.vllm.ai/en/latest/models/pooling_models/classify.
func classifyDialect() dialect {
	return dialect{name: "classify", fault: vllmError,
		read: func(s *Server, m *Model, id string, o *python.Object) ([]part, error) {
			r, err := readClassify(o, m)
			return r.part(id, err, func(result *score.Result, numbers [][]float64) any {
				return listOf(s, "classify-"+cmp.Or(r.requestID, id), r.model,
					classesOf(numbers, m.Scorer.Classes().Names), result.Usage)
			})
		}}
}

// classData is an entry of vLLM's answer.
type classData struct {
	Index int       `json:"index"`
	Label string    `json:"label"` // of the greatest of probs
	Probs []float64 `json:"probs"` // by class
	Count int       `json:"num_classes"`
}

// classesOf returns an entry for each row of numbers.
func classesOf(numbers [][]float64, names []string) []classData {
	all := make([]classData, len(numbers))
	for i, row := range numbers {
		top := slices.Index(row, slices.Max(row))
		all[i] = classData{Index: i, Label: names[top], Probs: row, Count: len(row)}
	}
	return all
}

// readClassify reads vLLM's request: one text, one list of token ids, or a list of
// either.
func readClassify(o *python.Object, m *Model) (*classRequest, error) {
	f := fieldsOf(o)
	r := &classRequest{model: f.name("model"), requestID: f.name("request_id"), field: "input"}
	v := f.Get(r.field)
	if elements, ok := sglang.ListOf(v); ok && !tokenIDs(elements) {
		r.texts, r.list = f.items(r.field), true
	} else {
		r.texts = []score.Part{f.part(r.field, v)}
	}
	r.cut = f.integer("truncate_prompt_tokens", -1, 0) != 0
	// vLLM's three names, the newest first.
	r.raw = !f.Bool("use_activation", true) || !f.Bool("activation", true) ||
		!f.Bool("softmax", true)
	r.plainSpecials = f.Bool("split_special_tokens", false)
	if !f.Bool("add_special_tokens", true) && !f.Failed() && m.putsSpecials() {
		f.fail("add_special_tokens", "add_special_tokens false is not supported by this model's "+
			"tokenizer; send token ids")
	}
	return r, f.done(classifyUnserved())
}

// tokenIDs reports whether a list holds token ids, and not texts or further lists. Its
// first element decides.
func tokenIDs(list []python.Value) bool {
	if len(list) == 0 {
		return false
	}
	_, text := list[0].(python.String)
	_, nested := sglang.ListOf(list[0])
	return !text && !nested
}

// predictDialect is TEI's /predict:
// https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/predict.
func predictDialect() dialect {
	return dialect{name: "predict", mine: has("inputs"), fault: teiError,
		read: func(_ *Server, m *Model, id string, o *python.Object) ([]part, error) {
			r, err := readPredict(o)
			return r.part(id, err, func(_ *score.Result, numbers [][]float64) any {
				all := make([][]teiClass, len(numbers))
				for i, row := range numbers {
					for k, value := range row {
						all[i] = append(all[i], teiClass{value, m.Scorer.Classes().Names[k]})
					}
					slices.SortStableFunc(all[i], func(a, b teiClass) int { return cmp.Compare(b.Score, a.Score) })
				}
				if !r.list {
					return all[0]
				}
				return all
			})
		}}
}

// teiClass is a class and its score in TEI's answer.
type teiClass struct {
	Score float64 `json:"score"`
	Label string  `json:"label"`
}

// readPredict reads TEI's request. inputs is a text, or a list of lists of one text.
// TEI reads a list of two texts as a pair. A decoder cannot tell a pair from one text,
// so pairs are refused.
func readPredict(o *python.Object) (*classRequest, error) {
	f := fieldsOf(o)
	r := &classRequest{field: "inputs", raw: f.Bool("raw_scores", false),
		cut: f.Bool("truncate", false)}
	r.plainSpecials = f.Bool("split_special_tokens", false)
	elements, isList := sglang.ListOf(f.Get(r.field))
	if !isList {
		r.texts = []score.Part{f.sequence(r.field, f.Get(r.field))}
		return r, f.done(teiUnserved())
	}
	if len(elements) == 0 {
		f.fail(r.field, "inputs must be a text, or a list of lists of one text")
	}
	if _, texts := first(elements).(python.String); texts {
		r.texts = []score.Part{f.sequence(r.field, f.Get(r.field))} // TEI's other way to write one text
		return r, f.done(teiUnserved())
	}
	r.list = true
	for i, v := range elements {
		if r.texts = append(r.texts, f.sequence(element(r.field, i), v)); f.Failed() {
			break
		}
	}
	return r, f.done(teiUnserved())
}

// first returns the first element, or nil.
func first(list []python.Value) python.Value {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// sequence reads a text, or a list of one text.
func (f *fieldReader) sequence(field string, v python.Value) score.Part {
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
