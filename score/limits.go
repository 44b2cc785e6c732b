package score

import (
	"slices"
	"strconv"
)

// limits are the bounds that a request is checked against before it costs any work: the
// model's vocabulary and context, and the operator's bounds. They never change.
//
// They do not say whether there is room for a request now: see admission. They do not
// bound prompts, whose lengths are known only when they have been made: see lengths.
type limits struct {
	vocab     int // ids must be 0..vocab-1
	context   int // a prompt must have fewer tokens
	maxLabels int // distinct labels of a request
	maxScores int // numbers in an answer
	classes   Classes
	texts     bool // there is an Encoder, so prompts may be texts
}

// newLimits returns the limits that cfg sets. texts says that there is an Encoder.
func newLimits(cfg *Config, texts bool) limits {
	return limits{vocab: cfg.Vocab, context: cfg.ContextLength, maxLabels: cfg.MaxLabels,
		maxScores: cfg.MaxScores, classes: cfg.Classes, texts: texts}
}

// check refuses a request that can never be scored, before it costs any work. The order
// of the checks decides which of several faults is reported.
func (l *limits) check(req *Request) error {
	if !req.Classify {
		if err := CheckLabels(req.Labels, l.vocab); err != nil {
			return err
		}
	}
	if err := checkShapes(req); err != nil {
		return err
	}
	if err := l.checkSequences(req); err != nil {
		return err
	}
	if req.labels() == 0 && len(req.Items) > 0 {
		return Errorf(Invalid, req.labelsField(),
			"%s is empty; it must have at least one label", req.labelsField()).because(NoLabels{})
	}
	if err := req.checkPositions(l.context); err != nil {
		return err
	}
	if !l.texts && !req.Query.IsTokens {
		return Errorf(Invalid, "query", "query is text, but the server runs without a tokenizer; "+
			"send token ids")
	}
	if i := l.badToken(req.Query.Tokens); i >= 0 {
		return l.tokenError("query", req.Query.Tokens, req.Query.Beyond, i)
	}
	for n, item := range req.Items {
		if i := l.badToken(item.Tokens); i >= 0 {
			return l.tokenError(req.itemField(n), item.Tokens, item.Beyond, i)
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
// with at least one item of tokens. With Queries, there must be one query for each
// item.
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
func (l *limits) badToken(ids []int64) int {
	return slices.IndexFunc(ids, func(id int64) bool { return id < 0 || id >= int64(l.vocab) })
}

// tokenError reports ids[i], which is outside the vocabulary.
func (l *limits) tokenError(field string, ids []int64, beyond *Beyond, i int) *Error {
	if ids[i] < 0 {
		return Errorf(Invalid, field, "%s[%d] is negative (%s). Token IDs must be non-negative.",
			field, i, beyond.digits(ids, i))
	}
	return Errorf(Invalid, field, "%s[%d] (%s) exceeds vocabulary size (%d)", field, i,
		beyond.digits(ids, i), l.vocab)
}

// columns maps the request's labels to distinct ones, and refuses a request whose
// answer would be larger than the server allows.
func (l *limits) columns(req *Request) (columns, error) {
	field, most := req.labelsField(), l.maxLabels
	if req.Classify {
		field, most = req.itemsField(), len(req.Labels)
	}
	c, ok := columnsOf(req.Labels, most)
	if req.Sequences != nil {
		if c, ok = sequenceColumns(req.Sequences, l.maxLabels); !ok {
			return c, Errorf(Invalid, field, "%s has more than %d tokens to read, which is what "+
				"the server takes; ask for fewer or shorter labels, "+
				"or raise --max-labels", field, l.maxLabels)
		}
	}
	if !ok {
		return c, Errorf(Invalid, field, "%s has more than %d distinct labels, which is what the "+
			"server takes; ask for fewer, or raise --max-labels", field, l.maxLabels)
	}
	if numbers := req.Numbers(); numbers > l.maxScores {
		return c, Errorf(TooLarge, req.multiplied(numbers, 1+len(req.Positions), l.maxScores),
			"%d %s with %d labels%s make an answer of %d numbers, the server takes %d at most; "+
				"split the request",
			len(req.Items), req.itemsField(), req.labels(), atPositions(req), numbers, l.maxScores)
	}
	c.positions = distinct(req.Positions)
	if req.Classify {
		c.activation = l.classes.Activation
	}
	return c, nil
}
