package server

import (
	"fmt"

	"scored/score"
	"scored/sglang"
)

// labels are the fields of a score request that say which labels it asks for. sglang-jax
// has label_token_ids alone.
type labels struct {
	ids      []score.Label
	given    bool     // ids are known: from label_token_ids or, after resolve, from texts
	texts    []string // labels, which label_token_ids overrides
	hasTexts bool

	sequences sequences
}

// readIDs reads label_token_ids.
func (l *labels) readIDs(f *sglang.Fields) {
	var ints sglang.Integers
	if ints, l.given = f.Ints("label_token_ids"); l.given {
		l.ids = labelsOf(ints)
	}
}

// labelsOf converts ids to labels. It keeps the digits only of ids that do not fit 64
// bits.
func labelsOf(ids sglang.Integers) []score.Label {
	labels := make([]score.Label, len(ids.Small))
	for i, id := range ids.Small {
		labels[i].ID = id
		if n, ok := ids.Big[i]; ok {
			labels[i].Literal = n.String()
		}
	}
	return labels
}

// readOthers reads the fields that sglang-jax does not have, by the same rules.
func (l *labels) readOthers(f *sglang.Fields, t *texts) {
	l.sequences.read(f)
	if l.given {
		return // label_token_ids has priority: sglang-jax ignores labels
	}
	texts := f.Texts("labels")
	l.texts = make([]string, len(texts))
	for i, s := range texts {
		l.texts[i] = t.element("labels", i, s)
	}
	l.hasTexts = f.Get("labels") != nil
}

// resolve turns labels given as texts into token ids. It must be called once, before
// check.
func (l *labels) resolve(m *loaded) error {
	if l.sequences.asked {
		l.given = l.sequences.field != ""
		return l.resolveSequences(m)
	}
	if !l.hasTexts {
		return nil
	}
	if m.Words == nil {
		return score.Errorf(score.Invalid, "labels",
			"labels are texts, but the server runs without a tokenizer; send label_token_ids")
	}
	l.given = true
	ids, err := eachLabel(l.texts, m.Scorer.MaxLabels(), func(field, text string) (int32, error) {
		return labelToken(m.Words, field, text)
	})
	l.ids = make([]score.Label, len(ids))
	for i, id := range ids {
		l.ids[i].ID = int64(id)
	}
	return err
}

// check returns an error if there are no labels, or some that are not in the vocabulary.
// The first has sglang-jax's words, and a remedy if labels came in a field that is
// ignored.
func (l *labels) check(vocab int) error {
	switch {
	case l.given:
		return score.CheckLabels(l.ids, vocab)
	case l.sequences.asked:
		return score.Errorf(score.Invalid, "labels",
			"labels must be provided; send labels, label_tokens or label_token_ids")
	case l.sequences.unread:
		return score.Errorf(score.Invalid, "label_tokens",
			sglang.LabelsMissing+`; label_tokens counts only with "label_mode": "sequence"`)
	}
	return score.Errorf(score.Invalid, "label_token_ids", sglang.LabelsMissing)
}

// longestLabel is a length in bytes that no token has. Tokens of known vocabularies
// have a few hundred at most.
const longestLabel = 4096

// labelToken returns the id of a label's text, which must be one token. A text longer
// than any token is refused without tokenizing it.
func labelToken(words Words, field, text string) (int32, error) {
	if len(text) > longestLabel {
		return 0, score.Errorf(score.Invalid, field,
			"%s has %d bytes, more than any token; choose a text of one token or send "+
				"label_token_ids", field, len(text))
	}
	id, err := words.Single(text)
	if err != nil {
		return 0, score.Errorf(score.Invalid, field,
			"%s cannot be a label: %v; choose a text of one token or send label_token_ids", field, err)
	}
	return id, nil
}

// eachLabel reads the labels' texts, each distinct text once. It refuses more than most
// distinct texts, because tokenizing comes before admission: a body of many short texts
// would cost work that no queue bounds.
func eachLabel[T any](texts []string, most int, read func(field, text string) (T, error)) ([]T,
	error) {
	known := map[string]T{}
	all := make([]T, len(texts))
	for i, text := range texts {
		label, seen := known[text]
		if !seen {
			if len(known) == most {
				return nil, score.Errorf(score.Invalid, "labels",
					"labels has more than %d distinct texts, which is what the server takes; ask for fewer, "+
						"or raise --max-labels", most)
			}
			var err error
			if label, err = read(fmt.Sprintf("labels[%d]", i), text); err != nil {
				return nil, err
			}
			known[text] = label
		}
		all[i] = label
	}
	return all, nil
}
