package server

import (
	"cmp"
	"time"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// pairsDialect is vLLM's way to score pairs of texts:
// https://docs.vllm.ai/en/latest/models/pooling_models/scoring. On a path that
// sglang-jax's dialect shares, a body with labels belongs to that one.
func pairsDialect(shared bool) dialect {
	d := dialect{name: "pairs", shape: vllmError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readPairs(o, m.Scorer.Load().MaxRows)
			if err != nil {
				return nil, err
			}
			id = cmp.Or(r.requestID, id)
			return r.parts(m, id, func(result *score.Result, relevance []float64) any {
				return listOf("score-"+id, cmp.Or(r.model, m.served), scoresAs(relevance),
					result.Usage)
			})
		}}
	if shared {
		pairs, labels := has("text_1", "queries", "data_1"),
			has("label_token_ids", "labels", "label_tokens")
		d.accepts = func(o *python.Object) bool { return pairs(o) && !labels(o) }
	}
	return d
}

// vllmList is vLLM's answer with an entry for each item.
type vllmList[T any] struct {
	ID      string    `json:"id"`
	Object  string    `json:"object"` // always "list"
	Created int64     `json:"created"`
	Model   string    `json:"model"`
	Data    []T       `json:"data"`
	Usage   vllmUsage `json:"usage"`
}

// vllmScore is the score of one pair or item.
type vllmScore struct {
	Index  int     `json:"index"`
	Object string  `json:"object"` // always "score"
	Score  float64 `json:"score"`
}

// vllmUsage counts every prompt in full.
type vllmUsage struct {
	PromptTokens     int       `json:"prompt_tokens"`
	TotalTokens      int       `json:"total_tokens"`
	CompletionTokens int       `json:"completion_tokens"`     // always 0
	Details          *struct{} `json:"prompt_tokens_details"` // always null
}

// listOf makes vLLM's answer. Entries are in the order of the request.
func listOf[T any](id, model string, data []T, usage score.Usage) vllmList[T] {
	return vllmList[T]{ID: id, Object: "list", Created: time.Now().Unix(), Model: model, Data: data,
		Usage: vllmUsage{PromptTokens: usage.PromptTokens, TotalTokens: usage.PromptTokens}}
}

// scoresAs makes the entries of answers with one number for each item, in the order of
// the request.
func scoresAs(scores []float64) []vllmScore {
	data := make([]vllmScore, len(scores))
	for i, value := range scores {
		data[i] = vllmScore{Index: i, Object: "score", Score: value}
	}
	return data
}

// pairFields returns the names of the two sides, in the order in which vLLM looks for
// them.
func pairFields() [][2]string {
	return [][2]string{{"queries", "documents"}, {"queries", "items"}, {"data_1", "data_2"},
		{"text_1", "text_2"}}
}

// readPairs reads two sides of texts. They must have the same number of texts, or the
// first side one text for all of the second. A side of more than most texts is refused
// before it is read: reading both would take twice the memory that documents take.
func readPairs(o *python.Object, most int) (*rerankRequest, error) {
	f := fieldsOf(o)
	// queries has two possible partners, so it counts with one of them. Of the others the
	// first side alone tells which fields the client means; an error then names the second.
	names := pairFields()[0]
	for _, pair := range pairFields() {
		if f.Get(pair[0]) != nil && (f.Get(pair[1]) != nil || f.Get(names[0]) == nil) {
			names = pair
			break
		}
	}
	r := &rerankRequest{model: f.name("model"), requestID: f.name("request_id"),
		queryField: names[0], field: names[1]}
	sides := pairReader{f, most}
	queries, list := sides.side(names[0])
	documents, many := sides.side(names[1])
	r.documents, r.one = documents, !many
	switch {
	case len(queries) == 1 && list:
		r.query, r.queryField = queries[0], element(names[0], 0)
	case len(queries) == 1:
		r.query = queries[0]
	case len(queries) == len(r.documents):
		r.queries = queries
	default:
		f.fail(names[0], "%s has %d texts and %s %d; send one for all, or as many", names[0],
			len(queries), names[1], len(r.documents))
	}
	r.readCuts(f)
	r.readInstruction(f)
	r.readRaw(f)
	return r, f.done(rerankUnserved())
}

// pairReader reads the two sides of pairs. A side may be of any length that fits into a
// body, so its length is looked at before its texts are.
type pairReader struct {
	*fieldReader
	most int // texts of a side
}

// side reads one text, or a list of at least one. list reports which it was, because an
// error names an element only in a list.
func (f pairReader) side(field string) (texts []string, list bool) {
	switch v := f.Get(field).(type) {
	case python.String, *python.Object:
		return []string{f.content(field, v)}, false
	default:
		elements, ok := sglang.ListOf(v)
		if !ok || len(elements) == 0 {
			f.fail(field, "%s must be a text, or a list of at least one", field)
		}
		if len(elements) > f.most {
			f.Refuse(score.Errorf(score.TooLarge, field,
				"%s has %d entries, the server takes %d at most; split the request", field,
				len(elements), f.most))
			return nil, true
		}
		if f.Failed() {
			return nil, true
		}
		for i, item := range elements {
			if texts = append(texts, f.content(element(field, i), item)); f.Failed() {
				break
			}
		}
		return texts, true
	}
}

// content reads a text as vLLM's clients send it: a string, or an object whose content
// is a list of one text.
func (f pairReader) content(field string, v python.Value) string {
	if o, ok := v.(*python.Object); ok {
		if content, _ := o.Get("content"); content != nil {
			parts, _ := sglang.ListOf(content)
			if len(parts) != 1 {
				f.fail(field, "%s must have one text as its content; nothing but text can be scored", field)
				return ""
			}
			v = parts[0]
		}
	}
	return f.text(field, v)
}
