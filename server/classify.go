package server

import (
	"cmp"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// classRequest is a request for a classifier's classes, in any dialect. Its texts are
// prompts as they are, without a template.
type classRequest struct {
	model, requestID string // "" if not given
	field            string // the client's name of its texts
	texts            []score.Part
	list             bool // the client sent a list, even if of one text
	raw              bool // logits instead of scores
	cut              bool // cut the end off a text that is too long
	plainSpecials    bool // the text of a special token is plain text
}

// parts returns the one part of the request. answer builds the value to send from a row
// of finite numbers for each text, with a number for each class.
func (r *classRequest) parts(id string, answer func(*score.Result, [][]float64) any) []part {
	req := &score.Request{ID: id, Items: r.texts, ItemField: r.field, OneItem: !r.list,
		Classify: true, Truncate: r.cut,
		PlainSpecials: r.plainSpecials}
	req.Query.IsTokens = r.texts[0].IsTokens // the query is empty; kinds must agree
	return []part{{request: req, answer: func(result *score.Result) (func() string, error) {
		numbers := result.Scores
		if r.raw {
			numbers = result.Logits
		}
		return func() string { return sglang.JSON(answer(result, numbers)) }, nil
	}}}
}

// classifyDialect is vLLM's /classify:
// https://docs.vllm.ai/en/latest/models/pooling_models/classify.
func classifyDialect() dialect {
	return dialect{name: "classify", shape: vllmError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readClassify(o, m.Words)
			if err != nil {
				return nil, err
			}
			return r.parts(id, func(result *score.Result, numbers [][]float64) any {
				return listOf("classify-"+cmp.Or(r.requestID, id), cmp.Or(r.model, m.served),
					classesOf(numbers, m.classes()), result.Usage)
			}), nil
		}}
}

// classData is an entry of vLLM's answer.
type classData struct {
	Index int       `json:"index"`
	Label string    `json:"label"` // of the greatest of probs
	Probs []float64 `json:"probs"` // by class
	Count int       `json:"num_classes"`
}

// classesOf returns an entry for each row of numbers. Of equal ones the first class is
// the label, as with numpy's argmax, which vLLM uses.
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
func readClassify(o *python.Object, words Words) (*classRequest, error) {
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
	f.specials(words)
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
