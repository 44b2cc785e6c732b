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

// modelTokenizer is the model's tokenizer, as server, scorer and Start use it.
type modelTokenizer interface {
	server.Words
	Vocab() int
	BaseVocab() int
	Close() error
}

// openTokenizer loads the model's tokenizer, which takes seconds, or returns ctx's error
// once ctx has ended. A tokenizer that comes too late is closed.
func openTokenizer(ctx context.Context, found *Source,
	log *slog.Logger) (modelTokenizer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return within.Context(ctx, func() (modelTokenizer, error) { return loadTokenizer(found, log) },
		func(late modelTokenizer) { _ = late.Close() }) // nothing has used it
}

// loadTokenizer loads the tokenizer for both ways of reading special tokens: as tokens,
// and as plain text.
func loadTokenizer(found *Source, log *slog.Logger) (modelTokenizer, error) {
	t, err := tokenizer.Open(found.tokenizer)
	if err != nil {
		return nil, err
	}
	if t.Cut("two words") == 0 {
		log.Info("tokenizer splits texts in a way that scored does not know, so a query is tokenized " +
			"again with each item; send token ids if that is slow")
	}
	// The tables for plain special tokens are made at their first use, which would be a
	// request's.
	_, err = t.Encode("", true)
	var checked modelTokenizer
	if err == nil {
		checked, err = matchVocabulary(t, found.Config, log)
	}
	if err != nil {
		_ = t.Close() // nothing has used it
		return nil, err
	}
	return checked, nil
}

// matchVocabulary holds the tokenizer's ids to the rows of the embedding. Most
// checkpoints have more rows than ids, padded to a round number. Some were given special
// tokens, for padding mostly, that have no row: those checkpoints are served, without
// these tokens. A tokenizer whose own vocabulary, without added tokens, has more ids than
// there are rows belongs to another model.
func matchVocabulary(t *tokenizer.Tokenizer, cfg checkpoint.Config,
	log *slog.Logger) (modelTokenizer, error) {
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
		return embeddedOnly{t, rows}, nil
	case t.Vocab() < rows/2:
		log.Warn("tokenizer has far fewer tokens than the model embeds; is it another model's?",
			"tokens", t.Vocab(), "embeddings", rows)
	}
	return t, nil
}

// embeddedOnly is a tokenizer that refuses texts with tokens that have no embedding.
type embeddedOnly struct {
	*tokenizer.Tokenizer
	rows int // of the embedding
}

// Encode implements score.Encoder. Its error is the rest of a sentence that begins with
// the text's name.
func (e embeddedOnly) Encode(text string, plain bool) ([]int32, error) {
	ids, err := e.Tokenizer.Encode(text, plain)
	for _, id := range ids {
		if int(id) >= e.rows {
			name, _ := e.Token(int(id))
			return nil, score.Errorf(score.Invalid, "", "holds the token %q (%d), which the model has no "+
				"embedding for; leave it out", name, id)
		}
	}
	return ids, err
}
