package server

import (
	"slices"

	"scored/score"
)

// The template of Qwen3-Reranker, from its model card:
// https://huggingface.co/Qwen/Qwen3-Reranker-0.6B. Instruction, query and document stand
// between the two parts. Other models get the same, so that any model can be tried.
const (
	rerankBefore = "<|im_start|>system\nJudge whether the Document meets the requirements based " +
		"on the Query and the Instruct provided. " +
		"Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n"
	rerankAfter = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)

// rerankTemplate is the template in a model's token ids.
type rerankTemplate struct {
	before, after []int32
	yes, no       int32
	classify      bool // relevance is the one class of a classifier, not "yes" against "no"
}

// newRerankTemplate tokenizes the template for a model with these classes, or returns
// the reason why this model cannot rerank. words is nil if there is no tokenizer.
func newRerankTemplate(words Words, classes []string, vocab int) (t rerankTemplate, err error) {
	if words == nil {
		return t, score.Errorf(score.Invalid, "", "server runs without a tokenizer; reranking needs one")
	}
	if t.before, err = words.Encode(rerankBefore, false); err == nil {
		t.after, err = words.Encode(rerankAfter, false)
	}
	if err != nil {
		return t, &score.Error{Kind: score.Internal, Message: "rerank template cannot be tokenized",
			Err: err}
	}
	t.after = t.after[words.Lead():] // Lead stands only at the beginning of a prompt
	if t.classify = len(classes) > 0; t.classify {
		return t, t.check(classes, vocab)
	}
	if t.yes, err = words.Single("yes"); err == nil {
		t.no, err = words.Single("no")
	}
	if err != nil {
		return t, &score.Error{Kind: score.Invalid,
			Message: `model cannot rerank: in its tokenizer "yes" or "no" is not one token`, Err: err}
	}
	return t, t.check(classes, vocab)
}

// check refuses a template that is not in the model's vocabulary, and a model that
// cannot answer with one number.
func (t *rerankTemplate) check(classes []string, vocab int) error {
	if id := slices.Max(slices.Concat(t.before, t.after, []int32{t.yes, t.no})); int(id) >= vocab {
		return score.Errorf(score.Invalid, "",
			"model cannot rerank: the template's token %d is not in its vocabulary of %d", id, vocab)
	}
	if n := len(classes); n > 1 {
		return score.Errorf(score.Invalid, "",
			"model cannot rerank: it has %d classes, and relevance is one number; use /classify", n)
	}
	return nil
}

// request returns the request for the Scorer: a row for each document, with "yes" and
// "no" as the labels of a softmax. A prompt has the ids that the model card's code
// makes. The two parts of the template and the pair of query and document between them
// are tokenized separately. Only the pair holds text of the client, so only there the
// text of special tokens can be plain.
func (t *rerankTemplate) request(id string, r *rerankRequest) *score.Request {
	rows := &score.Request{
		Classify:      t.classify,
		ID:            id,
		Items:         make([]score.Part, len(r.documents)),
		QueryField:    r.queryField,
		ItemField:     r.field,
		OneItem:       r.one,
		Softmax:       true,
		Logprobs:      r.raw,
		PlainSpecials: r.plainSpecials,
		Template: &score.Template{Before: t.before, After: t.after, Cut: r.cut,
			PromptTokens: r.promptTokens, ItemTokens: r.documentTokens,
			Remedy: r.remedy},
	}
	if !t.classify {
		rows.Labels = []score.Label{{ID: int64(t.yes)}, {ID: int64(t.no)}}
	}
	// The pair begins with before + query + after, which all documents share. A blank
	// begins each document, as in the model card's "<Document>: ".
	before, after := "<Instruct>: "+r.instruction+"\n<Query>: ", "\n<Document>:"
	if r.queries == nil {
		rows.Query.Text = before + r.query + after
	} else {
		rows.Queries, rows.QueryBefore, rows.QueryAfter = r.queries, before, after
	}
	for i, document := range r.documents {
		rows.Items[i].Text = " " + document
	}
	return rows
}
