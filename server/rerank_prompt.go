package server

import (
	"context"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"scored/score"
)

// The template of Qwen3-Reranker, from its model card. Between the two parts stand instruction, query and document.
const (
	rerankBefore = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. " +
		"Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n"
	rerankAfter = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)

// rerankTemplate is the template in token ids.
type rerankTemplate struct {
	before, after []int32
	yes, no       int32
}

// rerankTemplate tokenizes the template, or says why this model cannot rerank.
func (m *Model) rerankTemplate() (t rerankTemplate, err error) {
	if m.Words == nil {
		return t, score.Errorf(score.Invalid, "", "server runs without a tokenizer; reranking needs one")
	}
	if t.before, err = m.Words.Encode(rerankBefore, false); err == nil {
		t.after, err = m.Words.Encode(rerankAfter, false)
	}
	if err != nil {
		return t, &score.Error{Kind: score.Internal, Message: "rerank template cannot be tokenized", Err: err}
	}
	if t.yes, err = m.Words.Single("yes"); err == nil {
		t.no, err = m.Words.Single("no")
	}
	if err != nil {
		return t, &score.Error{Kind: score.Invalid, Message: `model cannot rerank: in its tokenizer "yes" or "no" is not one token`, Err: err}
	}
	if id := slices.Max(slices.Concat(t.before, t.after, []int32{t.yes, t.no})); int(id) >= m.Vocab {
		return t, score.Errorf(score.Invalid, "", "model cannot rerank: the template's token %d is not in its vocabulary of %d", id, m.Vocab)
	}
	return t, nil
}

// rerankRows makes the request's prompts, one per document, with "yes" and "no" as the labels of a softmax. A prompt's
// ids are those of the model card's code: the template's two parts and the pair of query and document between them,
// each tokenized by itself. Only the pair holds the client's text, so that only there special-token text can be plain.
func (m *Model) rerankRows(ctx context.Context, r *rerankRequest) (*score.Request, error) {
	t, err := m.rerankTemplate()
	if err != nil {
		return nil, err
	}
	head, pairs, err := r.encode(ctx, m.Words)
	if err != nil {
		return nil, err
	}
	if err := r.fit(pairs, len(head), len(t.before)+len(t.after), score.MaxInput(m.ContextLength)-1); err != nil {
		return nil, err
	}
	rows := &score.Request{Labels: []score.Label{{ID: int64(t.yes)}, {ID: int64(t.no)}}, Softmax: true, Items: make([]score.Part, len(pairs))}
	// What all rows share goes to the query, so that it is computed once, and kept for the next request, even if there is
	// but one document. No document changes how the text before it is tokenized in Qwen3, but another tokenizer may differ.
	if slices.ContainsFunc(pairs, func(pair []int32) bool { return !slices.Equal(head, pair[:min(len(head), len(pair))]) }) {
		head = nil
	}
	rows.Query = joinedPart(t.before, head)
	for i, pair := range pairs {
		rows.Items[i] = joinedPart(pair[len(head):], t.after)
	}
	return rows, nil
}

// encode tokenizes every pair of query and document, and as head what comes before the document, in parallel.
func (r *rerankRequest) encode(ctx context.Context, words Words) (head []int32, pairs [][]int32, err error) {
	before := "<Instruct>: " + r.instruction + "\n<Query>: " + r.query + "\n<Document>:"
	if head, err = words.Encode(before, r.plainSpecials); err != nil {
		return nil, nil, &score.Error{Kind: score.Invalid, Param: "query", Message: "query and instruction cannot be tokenized", Err: err}
	}
	pairs = make([][]int32, len(r.documents))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, document := range r.documents {
		group.Go(func() (err error) {
			if ctx.Err() != nil {
				return &score.Error{Kind: score.Deadline, Message: "request ended before its documents were tokenized", Err: context.Cause(ctx)}
			}
			if pairs[i], err = words.Encode(before+" "+document, r.plainSpecials); err != nil {
				field := documentField(i)
				return &score.Error{Kind: score.Invalid, Param: field, Message: field + " cannot be tokenized", Err: err}
			}
			return nil
		})
	}
	return head, pairs, group.Wait()
}

// fit cuts or refuses documents that are too long. The first head tokens of a pair come before its document; template
// tokens are added to it, and longest is what the model takes in all.
func (r *rerankRequest) fit(pairs [][]int32, head, template, longest int) error {
	if r.cut {
		longest = min(longest, r.promptTokens)
	}
	room := longest - template - head
	if room < 1 {
		return score.Errorf(score.Invalid, "query", "query and instruction leave no room for a document: with the template they are %d tokens "+
			"of at most %d. Use a shorter query.", template+head, longest)
	}
	for i, pair := range pairs {
		document := min(len(pair)-head, r.documentTokens)
		if document > room && !r.cut {
			field := documentField(i)
			return score.Errorf(score.Invalid, field, "%s is too long: its prompt is %d tokens of at most %d. Use a shorter document, or set "+
				"truncate_prompt_tokens to -1 to have its end cut off.", field, template+head+document, longest)
		}
		pairs[i] = pair[:head+min(document, room)]
	}
	return nil
}

func documentField(i int) string { return "documents[" + strconv.Itoa(i) + "]" }

// joinedPart is runs of token ids as one part of a prompt.
func joinedPart(runs ...[]int32) score.Part {
	ids := slices.Concat(runs...)
	p := score.Part{IsTokens: true, Tokens: make([]int64, len(ids))}
	for i, id := range ids {
		p.Tokens[i] = int64(id)
	}
	return p
}
