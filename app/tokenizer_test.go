package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"scored/model/checkpoint"
	"scored/score"
	"scored/tokenizer"
)

// TestTokenizerFits: a tokenizer is held to the rows of the model's embedding.
func TestTokenizerFits(t *testing.T) {
	words, err := tokenizer.Open("../tests/tokenizer/small")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = words.Close() })
	own, all := words.BaseVocab(), words.Vocab()
	if own >= all {
		t.Fatalf("the tokenizer has %d tokens, %d of its own; the test needs added ones", all, own)
	}
	added, _ := words.Token(all - 1)
	for _, c := range []struct {
		name string
		rows int
		err  string
		log  string
	}{
		{"as many rows", all, "", ""},
		{"padded", all + 20, "", ""},
		{"no row for the last token", all - 1, "", "tokens=1"},
		{"no row for the last two", all - 2, "", "no embedding"},
		{"another model's", own - 1, "belongs to another model", ""},
		{"a far larger model", 10 * all, "", "another model's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said strings.Builder
			fitted, err := matchVocabulary(words, checkpoint.Config{VocabSize: c.rows}, slog.New(slog.NewTextHandler(&said, nil)))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (said.Len() > 0) != (c.log != "") || !strings.Contains(said.String(), c.log) {
				t.Errorf("log says %q, want %q", said.String(), c.log)
			}
			ids, err := fitted.Encode("a b", false)
			if err != nil || len(ids) == 0 {
				t.Errorf("plain text: %v, %v", ids, err)
			}
			_, err = fitted.Encode("a"+added, false)
			var refused *score.Error
			if named := errors.As(err, &refused) && refused.Kind == score.Invalid && strings.Contains(err.Error(), added); named != (c.rows < all) {
				t.Errorf("a text with %q: %v", added, err)
			}
			if c.rows < all && !strings.Contains(said.String(), added) {
				t.Errorf("log does not name %q: %s", added, said.String())
			}
		})
	}
}
