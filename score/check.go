package score

import (
	"slices"
	"strconv"
)

// The messages of this file that name neither field nor index are the peer's, word for word: clients match on them.

// check refuses what can never be scored, before any work is done for it.
func (s *Scorer) check(req *Request) error {
	if err := CheckLabels(req.Labels, s.cfg.BaseVocab, s.cfg.Vocab); err != nil {
		return err
	}
	if err := checkShapes(req); err != nil {
		return err
	}
	if len(req.Labels) == 0 && len(req.Items) > 0 {
		return Errorf(Invalid, "label_token_ids", "label_token_ids cannot be empty. At least one token ID is required.")
	}
	if s.encoder == nil && !req.Query.IsTokens {
		return Errorf(Invalid, "query", "query is text, but the server runs without a tokenizer; send token ids")
	}
	if i := s.badToken(req.Query.Tokens); i >= 0 {
		return s.tokenError("query", req.Query.Tokens, i)
	}
	for n, item := range req.Items {
		if i := s.badToken(item.Tokens); i >= 0 {
			return s.tokenError(itemField(n), item.Tokens, i)
		}
	}
	return nil
}

// CheckLabels refuses label ids outside 0..vocab-1. The first offender is named, as the peer does: by its id where it is
// too large, together with baseVocab, the vocabulary size without added tokens.
func CheckLabels(labels []Label, baseVocab, vocab int) error {
	for i, label := range labels {
		literal := label.Literal
		if literal == "" {
			literal = strconv.FormatInt(label.ID, 10)
		}
		if label.ID >= int64(vocab) {
			return Errorf(Invalid, "label_token_ids", "Token ID %s is out of vocabulary (vocab size: %d)", literal, baseVocab)
		}
		if label.ID < 0 {
			return Errorf(Invalid, "label_token_ids", "label_token_ids[%d] is negative (%s). Token IDs must be non-negative.", i, literal)
		}
	}
	return nil
}

// checkShapes wants a text query with text items, or a token query with at least one item of tokens.
func checkShapes(req *Request) error {
	valid := len(req.Items) > 0 || !req.Query.IsTokens
	for _, item := range req.Items {
		valid = valid && item.IsTokens == req.Query.IsTokens
	}
	if !valid {
		return Errorf(Invalid, "items", "Invalid combination of query/items types for score_request.")
	}
	return nil
}

// badToken is the index of the first id outside the vocabulary, or -1.
func (s *Scorer) badToken(ids []int64) int {
	return slices.IndexFunc(ids, func(id int64) bool { return id < 0 || id >= int64(s.cfg.Vocab) })
}

func (s *Scorer) tokenError(field string, ids []int64, i int) *Error {
	if ids[i] < 0 {
		return Errorf(Invalid, field, "%s[%d] is negative (%d). Token IDs must be non-negative.", field, i, ids[i])
	}
	return Errorf(Invalid, field, "%s[%d] (%d) exceeds vocabulary size (%d)", field, i, ids[i], s.cfg.Vocab)
}

// itemField names an item in errors.
func itemField(i int) string { return "items[" + strconv.Itoa(i) + "]" }

// fit checks every prompt's length, cutting those too long where that is allowed. A bad item fails the request, or
// with Request.Partial itself alone.
func (s *Scorer) fit(req *Request, prompts [][]int32, result *Result) error {
	for i, prompt := range prompts {
		if result.ItemErrors[i] != nil {
			continue
		}
		err := s.checkLength(i, len(prompt))
		if err != nil && len(prompt) > 0 && (req.Truncate || s.cfg.AllowTruncate) {
			prompts[i] = prompt[:MaxInput(s.cfg.ContextLength)]
			result.Truncated = append(result.Truncated, i)
			err = nil
		}
		if err == nil {
			continue
		}
		if !req.Partial {
			return err
		}
		result.fail(i, err)
	}
	return nil
}

// checkBytes refuses a text so long that its tokens must be too many, before the work of counting them. Normalisation may
// have made three bytes of one, as with Hangul written in letters.
func (s *Scorer) checkBytes(item int, req *Request) error {
	n := len(req.Query.Text) + len(req.Items[item].Text)
	if !s.tooManyBytes(req, n) {
		return nil
	}
	return Errorf(Invalid, itemField(item), "The input (at least %d tokens) is longer than the model's context length (%d tokens).",
		n/(3*s.cfg.TokenBytes), s.cfg.ContextLength)
}

// tooManyBytes tells whether a text of n bytes is refused for them alone.
func (s *Scorer) tooManyBytes(req *Request, n int) bool {
	most := 3 * s.cfg.TokenBytes * s.cfg.ContextLength
	return most > 0 && n > most && !req.Truncate && !s.cfg.AllowTruncate
}

// MaxInput is the length that a prompt is cut to; one that is not cut must be shorter. The peer keeps room for one generated
// token and five more.
func MaxInput(contextLength int) int { return max(contextLength-6, 1) }

func (s *Scorer) checkLength(item, n int) *Error {
	c, m := s.cfg.ContextLength, MaxInput(s.cfg.ContextLength)
	if n > 0 && n < m {
		return nil
	}
	field := itemField(item)
	switch {
	case n == 0:
		return Errorf(Invalid, field, "%s and query are both empty; a prompt needs at least one token", field)
	case n >= c:
		return Errorf(Invalid, field, "The input (%d tokens) is longer than the model's context length (%d tokens).", n, c)
	case n+1 >= c:
		return Errorf(Invalid, field, "Requested token count exceeds the model's maximum context length of %d tokens. You requested a "+
			"total of %d tokens: %d tokens from the input messages and 1 tokens for the completion. Please reduce the number of tokens in "+
			"the input messages or the completion to fit within the limit.", c, n+1, n)
	}
	return Errorf(Invalid, field, "Input length (%d tokens) exceeds the maximum allowed length (%d tokens). Use a shorter input or "+
		"enable --allow-auto-truncate.", n, m)
}

func (r *Result) fail(item int, err *Error) {
	if r.ItemErrors == nil {
		r.ItemErrors = make(map[int]*Error)
	}
	r.ItemErrors[item] = err
}
