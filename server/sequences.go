package server

import (
	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// sequences are the fields of a score request whose labels may have several tokens.
// They apply if label_mode is "sequence". Without it they are ignored, as sglang-jax
// ignores all fields that it does not know.
type sequences struct {
	asked     bool                  // label_mode is "sequence"
	badMode   bool                  // label_mode is neither "token" nor "sequence"
	normalize bool                  // scores a label by the mean of its tokens' log-probabilities
	tokens    [][]int64             // label_tokens, or the tokens of the labels' texts
	field     string                // field that holds the labels
	second    string                // another field that holds labels, which is an error
	unread    bool                  // the body has label_tokens, but label_mode is not "sequence"
	beyond    map[int]*score.Beyond // of tokens, by label
}

// read reads them by the same rules as the other fields. A wrong label_mode is kept in
// badMode and refused later: pydantic's faults of other fields come first.
func (q *sequences) read(f *sglang.Fields) {
	switch mode := f.Get("label_mode"); mode {
	case nil, python.String("token"):
		q.unread = f.Get("label_tokens") != nil
		return
	case python.String("sequence"):
		q.asked = true
	default:
		q.badMode = true
		return
	}
	for _, field := range []string{"label_token_ids", "label_tokens", "labels"} {
		switch {
		case f.Get(field) == nil:
		case q.field == "":
			q.field = field
		default:
			q.second = field
		}
	}
	q.normalize = f.Bool("normalize", false)
	if v := f.Get("label_tokens"); v != nil {
		q.readTokens(f, v)
	}
}

// readTokens reads a list of lists of integers. It reports up to MaxFaults of their
// faults, and keeps the digits of integers beyond 64 bits.
func (q *sequences) readTokens(f *sglang.Fields, v python.Value) {
	list, ok := sglang.ListOf(v)
	if !ok {
		f.Fail("list_type", v, "label_tokens")
		return
	}
	q.tokens = make([][]int64, len(list))
	before := len(f.Faults)
	for i, label := range list {
		ints, faults := sglang.ReadInts(label, "label_tokens", i)
		if f.Faults = append(f.Faults, faults...); len(f.Faults) >= before+sglang.MaxFaults {
			break
		}
		q.tokens[i] = ints.Small
		if b := beyond(ints); b != nil {
			if q.beyond == nil {
				q.beyond = map[int]*score.Beyond{}
			}
			q.beyond[i] = b
		}
	}
}

// resolveSequences turns the labels into runs of tokens. Each text is tokenized by
// itself, because labels of one prompt must not depend on its end: a merge across the
// border would give each item labels of its own.
func (l *labels) resolveSequences(m *loaded) error {
	q := &l.sequences
	switch {
	case q.second != "":
		return score.Errorf(score.Invalid, q.second,
			"%s and %s are both there; send the labels in one of them", q.second, q.field)
	case q.field == "label_token_ids":
		q.tokens = make([][]int64, len(l.ids))
		for i := range l.ids {
			q.tokens[i] = []int64{l.ids[i].ID}
		}
		return nil
	case q.field != "labels":
		return nil
	case m.Words == nil:
		return score.Errorf(score.Invalid, "labels",
			"labels are texts, but the server runs without a tokenizer; send label_tokens")
	}
	var err error
	q.tokens, err = eachLabel(l.texts, m.Scorer.MaxLabels(),
		func(field, text string) ([]int64, error) { return labelTokens(m.Words, field, text) })
	return err
}

// labelTokens returns the ids of one label's text. The length is bounded here, because
// labels are tokenized before the Scorer admits the request.
func labelTokens(words Words, field, text string) ([]int64, error) {
	if len(text) > longestLabel {
		return nil, score.Errorf(score.Invalid, field,
			"%s has %d bytes, a label may have %d; choose a shorter text", field, len(text), longestLabel)
	}
	ids, err := words.Tokens(text)
	if err != nil {
		return nil, score.Errorf(score.Invalid, field,
			"%s cannot be a label: %v; choose another text or send label_tokens", field, err)
	}
	wide := make([]int64, len(ids))
	for k, id := range ids {
		wide[k] = int64(id)
	}
	return wide, nil
}
