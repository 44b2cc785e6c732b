package server

import (
	"fmt"

	"scored/score"
	"scored/sglang"
)

// extras are the fields of a score request that sglang-jax does not have. Without them
// the answer is sglang-jax's, byte for byte.
type extras struct {
	labels        []string // labels as texts, used if label_token_ids is absent
	hasLabels     bool
	sequences     sequences
	positions     []int64       // places of each item at which labels are scored, too
	beyond        *score.Beyond // of positions
	logprobs      bool          // answer with natural logarithms, too
	usage         bool          // answer with token counts
	truncate      bool          // cut prompts that are too long, and list them
	partial       bool          // a bad item fails alone
	plainSpecials bool          // the text of a special token, as "<|im_end|>", is plain text
}

// readExtras reads them by the same rules as sglang-jax's fields.
func (b *body) readExtras(f *sglang.Fields) {
	x := &b.extras
	for _, field := range []struct {
		name string
		to   *bool
	}{{"return_logprobs", &x.logprobs}, {"usage", &x.usage}, {"truncate", &x.truncate},
		{"partial", &x.partial},
		{"split_special_tokens", &x.plainSpecials}} {
		*field.to = f.Bool(field.name, false)
	}
	positions, _ := f.Ints("score_positions")
	x.positions, x.beyond = positions.Small, beyond(positions)
	x.sequences.read(f)
	if b.hasLabels {
		return // label_token_ids has priority: sglang-jax ignores labels
	}
	texts := f.Texts("labels")
	x.labels = make([]string, len(texts))
	for i, s := range texts {
		x.labels[i] = b.textAt("labels", i, s)
	}
	x.hasLabels = f.Get("labels") != nil
}

// longestLabel is a length in bytes that no token has. Tokens of known vocabularies
// have a few hundred at most.
const longestLabel = 4096

// nameLabels turns labels given as texts into ids.
func (b *body) nameLabels(m *Model) error {
	if b.extras.sequences.asked {
		b.hasLabels = b.extras.sequences.field != ""
		return b.labelSequences(m)
	}
	if !b.extras.hasLabels {
		return nil
	}
	if m.Words == nil {
		return score.Errorf(score.Invalid, "labels",
			"labels are texts, but the server runs without a tokenizer; send label_token_ids")
	}
	b.hasLabels = true
	ids, err := eachLabel(b, m, func(field, text string) (int32, error) {
		return labelToken(m.Words, field, text)
	})
	b.labels = make([]score.Label, len(ids))
	for i, id := range ids {
		b.labels[i].ID = int64(id)
	}
	return err
}

// labelToken returns the id of a label's text, which must be one token.
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

// eachLabel reads the labels' texts, each distinct text once. It refuses more distinct
// texts than the server takes.
func eachLabel[T any](b *body, m *Model, read func(field, text string) (T, error)) ([]T, error) {
	known := map[string]T{}
	all := make([]T, len(b.extras.labels))
	for i, text := range b.extras.labels {
		label, seen := known[text]
		if !seen {
			if len(known) == m.Scorer.MaxLabels() {
				return nil, score.Errorf(score.Invalid, "labels",
					"labels has more than %d distinct texts, which is what the server takes; ask for fewer, "+
						"or raise --max-labels", len(known))
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
