package score

import (
	"slices"
	"strconv"
)

// check refuses a request that can never be scored, before it costs any work. The order
// of the checks decides which of several faults is reported.
func (s *Scorer) check(req *Request) error {
	if !req.Classify {
		if err := CheckLabels(req.Labels, s.cfg.Vocab); err != nil {
			return err
		}
	}
	if err := checkShapes(req); err != nil {
		return err
	}
	if err := s.checkSequences(req); err != nil {
		return err
	}
	if req.labels() == 0 && len(req.Items) > 0 {
		return Errorf(Invalid, req.labelsField(),
			"%s is empty; it must have at least one label", req.labelsField()).because(NoLabels{})
	}
	if err := s.checkPositions(req); err != nil {
		return err
	}
	if s.encoder == nil && !req.Query.IsTokens {
		return Errorf(Invalid, "query", "query is text, but the server runs without a tokenizer; "+
			"send token ids")
	}
	if i := s.badToken(req.Query.Tokens); i >= 0 {
		return s.tokenError("query", req.Query.Tokens, req.Query.Beyond, i)
	}
	for n, item := range req.Items {
		if i := s.badToken(item.Tokens); i >= 0 {
			return s.tokenError(req.itemField(n), item.Tokens, item.Beyond, i)
		}
	}
	return nil
}

// CheckLabels refuses label ids outside 0..vocab-1. The error names the first one at
// fault.
func CheckLabels(labels []Label, vocab int) error {
	for i, label := range labels {
		literal := label.Literal
		if literal == "" {
			literal = strconv.FormatInt(label.ID, 10)
		}
		if label.ID >= int64(vocab) {
			return Errorf(Invalid, "label_token_ids", "label_token_ids[%d] (%s) exceeds "+
				"vocabulary size (%d)", i, literal, vocab).because(NoToken{literal})
		}
		if label.ID < 0 {
			return Errorf(Invalid, "label_token_ids",
				"label_token_ids[%d] is negative (%s). Token IDs must be non-negative.", i, literal)
		}
	}
	return nil
}

// checkShapes refuses everything but a text query with text items, and a token query
// with at least one item of tokens. With Queries, it wants one query for each item.
func checkShapes(req *Request) error {
	valid := len(req.Items) > 0 || !req.Query.IsTokens
	if req.Queries != nil {
		valid = len(req.Queries) == len(req.Items) && !req.Query.IsTokens
	}
	for _, item := range req.Items {
		valid = valid && item.IsTokens == req.Query.IsTokens
	}
	if !valid {
		return Errorf(Invalid, "items", "items must be of the kind of query: texts, or at least "+
			"one list of token ids").because(MixedKinds{})
	}
	return nil
}

// badToken returns the index of the first id outside the vocabulary, or -1.
func (s *Scorer) badToken(ids []int64) int {
	return slices.IndexFunc(ids, func(id int64) bool { return id < 0 || id >= int64(s.cfg.Vocab) })
}

// tokenError reports ids[i], which is outside the vocabulary.
func (s *Scorer) tokenError(field string, ids []int64, beyond *Beyond, i int) *Error {
	if ids[i] < 0 {
		return Errorf(Invalid, field, "%s[%d] is negative (%s). Token IDs must be non-negative.",
			field, i, beyond.digits(ids, i))
	}
	return Errorf(Invalid, field, "%s[%d] (%s) exceeds vocabulary size (%d)", field, i,
		beyond.digits(ids, i), s.cfg.Vocab)
}

// columns maps the request's labels to distinct ones, and refuses a request whose
// answer would be larger than the server allows.
func (s *Scorer) columns(req *Request) (columns, error) {
	field, most := req.labelsField(), s.cfg.MaxLabels
	if req.Classify {
		field, most = req.itemsField(), len(req.Labels)
	}
	c, ok := columnsOf(req.Labels, most)
	if req.Sequences != nil {
		if c, ok = sequenceColumns(req.Sequences, s.cfg.MaxLabels); !ok {
			return c, Errorf(Invalid, field, "%s has more than %d tokens to read, which is what "+
				"the server takes; ask for fewer or shorter labels, "+
				"or raise --max-labels", field, s.cfg.MaxLabels)
		}
	}
	if !ok {
		return c, Errorf(Invalid, field, "%s has more than %d distinct labels, which is what the "+
			"server takes; ask for fewer, or raise --max-labels", field, s.cfg.MaxLabels)
	}
	if numbers := req.Numbers(); numbers > s.cfg.MaxScores {
		return c, Errorf(TooLarge, req.multiplied(numbers, 1+len(req.Positions), s.cfg.MaxScores),
			"%d %s with %d labels%s make an answer of %d numbers, the server takes %d at most; "+
				"split the request",
			len(req.Items), req.itemsField(), req.labels(), atPositions(req), numbers, s.cfg.MaxScores)
	}
	c.positions = distinct(req.Positions)
	if req.Classify {
		c.activation = s.cfg.Classes.Activation
	}
	return c, nil
}

// keep returns how many of a prompt's n tokens are kept: all, fewer if it is cut, or an
// error if it is too long. With more, n is a lower bound of the prompt's length.
func (e *encoding) keep(item, n int, more bool) (int, error) {
	tail := e.reserved.columns.longest
	err := e.checkLength(e.req, item, n, more)
	if longest := MaxInput(e.cfg.ContextLength) - 1; err == nil && tail > 0 && n+tail > longest {
		field := e.req.itemField(item)
		err = Errorf(Invalid, field, "%s is too long: with its longest label its prompt is %d "+
			"tokens of at most %d. Use a shorter one.", field, n+tail+1, longest+1)
	}
	switch {
	case err == nil:
		return n, nil
	case n > 0 && (e.req.Truncate || e.cfg.AllowTruncate):
		return MaxInput(e.cfg.ContextLength) - tail, nil
	}
	return 0, err
}

// keepOf is keep for a text, which may stand in a template. With a template, neither n
// nor the result counts the tokens of the template's end.
func (e *encoding) keepOf(item, n int, more bool, t *queryTokens) (int, error) {
	template := e.req.Template
	if template == nil {
		return e.keep(item, n, more)
	}
	own := n - t.alone
	if template.ItemTokens > 0 {
		own = min(own, template.ItemTokens)
	}
	longest := e.longest(template)
	room := longest - len(template.After) - t.alone
	if own > room && !template.Cut {
		field := e.req.itemField(item)
		return 0, Errorf(Invalid, field, "%s is too long: its prompt is %s%d tokens of at most "+
			"%d. Use a shorter one%s.", field, atLeast(more),
			t.alone+own+len(template.After), longest, template.Remedy)
	}
	return t.alone + min(own, room), nil
}

// checkBytes refuses an item whose text must be too many tokens, before it is
// tokenized. query is a lower bound of the query's tokens.
func (e *encoding) checkBytes(item, query int) error {
	n := query + e.encoder.Least(e.req.Items[item].Text)
	if !e.tooMany(n) {
		return nil
	}
	return e.checkLength(e.req, item, n, true)
}

// tooMany reports whether a text of at least n tokens is refused for its length.
func (e *encoding) tooMany(n int) bool {
	return n >= e.cfg.ContextLength && !e.req.Truncate && !e.cfg.AllowTruncate && e.req.Template == nil
}

// MaxInput is the length in tokens that a prompt is cut to. A prompt that is not cut
// must be shorter. sglang-jax reserves one token for generation and five more.
func MaxInput(contextLength int) int { return max(contextLength-6, 1) }

// checkLength refuses a prompt of n tokens that is empty or too long. With more, n is a
// lower bound.
func (s *Scorer) checkLength(req *Request, item, n int, more bool) error {
	longest := MaxInput(s.cfg.ContextLength) - 1
	if n > 0 && n <= longest {
		return nil
	}
	field := req.itemField(item)
	switch {
	case n > 0:
		return Errorf(Invalid, field, "%s is too long: its prompt is %s%d tokens of at most %d. "+
			"Use a shorter one.", field, atLeast(more), n, longest).
			because(TooLong{Tokens: n, Context: s.cfg.ContextLength, AtLeast: more})
	case req.Classify: // there is no query
		return Errorf(Invalid, field, "%s is empty; a text needs at least one token", field)
	}
	return Errorf(Invalid, field, "%s and query are both empty; a prompt needs at least one "+
		"token", field)
}

// atLeast stands before a number that is a lower bound, for errors.
func atLeast(more bool) string {
	if more {
		return "at least "
	}
	return ""
}

func (r *Result) fail(item int, err *Error) {
	if r.ItemErrors == nil {
		r.ItemErrors = make(map[int]*Error)
	}
	r.ItemErrors[item] = err
}
