package app

import (
	"context"
	"fmt"
	"log/slog"

	"scored/internal/within"
	"scored/model/checkpoint"
	"scored/score"
	"scored/server"
	"scored/tokenizer"
)

// words is the model's tokenizer.
type words interface {
	server.Words
	Vocab() int
	BaseVocab() int
	Close() error
}

// openTokenizer loads the model's tokenizer, which takes seconds, until ctx ends.
func openTokenizer(ctx context.Context, found *Source, log *slog.Logger) (words, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return within.Context(ctx, func() (words, error) { return loadTokenizer(found, log) },
		func(late words) { _ = late.Close() }) // nothing has used it
}

// loadTokenizer loads it for both ways of reading special tokens.
func loadTokenizer(found *Source, log *slog.Logger) (words, error) {
	t, err := tokenizer.Open(found.tokenizer)
	if err != nil {
		return nil, err
	}
	if t.Cut("two words") == 0 {
		log.Info("tokenizer splits texts in a way that scored does not know, so a query is tokenized " +
			"again with each item; send token ids if that is slow")
	}
	_, err = t.Encode("", true) // or the first request for plain specials would wait for their tables
	var checked words
	if err == nil {
		checked, err = fit(t, found.Config, log)
	}
	if err != nil {
		_ = t.Close() // nothing has used it
		return nil, err
	}
	return checked, nil
}

// fit holds the tokenizer's ids to the rows of the embedding. Most checkpoints have
// more rows than ids, padded to a round number. Some were given special tokens, for
// padding mostly, that have no row: those are served, without these tokens. A tokenizer
// whose own vocabulary has no rows belongs to another model.
func fit(t *tokenizer.Tokenizer, cfg checkpoint.Config, log *slog.Logger) (words, error) {
	rows := cfg.VocabSize
	switch {
	case t.BaseVocab() > rows:
		return nil, fmt.Errorf("tokenizer has %d tokens, the model embeds %d: it belongs to another "+
			"model; name the model's own with --tokenizer-path", t.BaseVocab(), rows)
	case t.Vocab() > rows:
		var names []string
		for id := rows; id < t.Vocab() && len(names) < 5; id++ {
			if name, ok := t.Token(id); ok {
				names = append(names, fmt.Sprintf("%s (%d)", name, id))
			}
		}
		log.Warn("tokenizer has tokens that the model has no embedding for; prompts that hold them are "+
			"refused", "tokens", t.Vocab()-rows, "names", names)
		return narrower{t, rows}, nil
	case t.Vocab() < rows/2:
		log.Warn("tokenizer has far fewer tokens than the model embeds; is it another model's?",
			"tokens", t.Vocab(), "embeddings", rows)
	}
	return t, nil
}

// narrower refuses texts with tokens that have no embedding.
type narrower struct {
	*tokenizer.Tokenizer
	rows int
}

// Encode implements score.Encoder. Its error goes on after the name of the text.
func (n narrower) Encode(text string, plain bool) ([]int32, error) {
	ids, err := n.Tokenizer.Encode(text, plain)
	for _, id := range ids {
		if int(id) >= n.rows {
			name, _ := n.Token(int(id))
			return nil, score.Errorf(score.Invalid, "", "holds the token %q (%d), which the model has no "+
				"embedding for; leave it out", name, id)
		}
	}
	return ids, err
}
