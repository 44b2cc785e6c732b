// Package tokenizer returns the token ids that Hugging Face tokenizers return for a
// tokenizer.json. It calls their own Rust code (github.com/daulet/tokenizers) and adds
// what that binding lacks: errors, NUL characters, safety after Close, and places where
// a text may be cut without changing its ids.
//
// It is one of the two packages with C. It must not know other packages of scored.
// Begin with Open and Tokenizer.Encode.
package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/daulet/tokenizers"
)

// Tokenizer is one tokenizer.json. It is safe for concurrent use. The caller must call
// Close to free its memory, which Go does not manage.
type Tokenizer struct {
	file *file

	mu        sync.RWMutex // held for reading while Rust runs, so that Close waits for it
	closed    bool
	instances [4]instance
}

// instance is the tokenizer loaded in one mode. The binding fixes modes when it loads,
// so each mode needs its own memory (tens of MB). All but the default mode are loaded
// when they are first needed.
type instance struct {
	once sync.Once
	rust *tokenizers.Tokenizer
	err  error
}

// Modes, which can be combined by |.
const (
	plainSpecials = 1 << iota // the text of special tokens is ordinary text
	escapedNUL                // text is passed as escapeNUL makes it
)

// Open loads path, which is a tokenizer.json or a folder that holds one.
func Open(path string) (*Tokenizer, error) {
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{file: f}
	if _, err := t.instance(0); err != nil {
		return nil, err
	}
	return t, nil
}

// Encode returns the ids that tokenizer(text)["input_ids"] returns in Hugging Face
// transformers, with the tokens that the tokenizer puts around a text by default. Qwen3
// puts none, so an empty text has no ids. text must be UTF-8.
//
// The text of an added token inside text, such as "<|im_end|>", becomes that token.
// With plain it is ordinary text if the token is marked special, as with
// split_special_tokens=True in transformers. "<think>", for example, is not marked so
// and stays a token.
func (t *Tokenizer) Encode(text string, plain bool) ([]int32, error) {
	mode := 0
	if plain {
		mode = plainSpecials
	}
	return t.encode(text, mode, true)
}

// Tokens returns the ids of a text that continues another, such as a label behind a
// prompt: those of Encode without the tokens that the tokenizer puts around a text.
func (t *Tokenizer) Tokens(text string) ([]int32, error) { return t.encode(text, 0, false) }

// Single returns the id of a text that is exactly one token by itself, or an error that
// lists its ids and tokens. Of a text that must have several tokens by its length, it
// makes no tokens.
func (t *Tokenizer) Single(text string) (int32, error) {
	if n := t.Least(text); n > 1 {
		return 0, fmt.Errorf("text of %d bytes is %d tokens at least, not one", len(text), n)
	}
	ids, err := t.encode(text, 0, false)
	if err != nil {
		return 0, err
	}
	if len(ids) == 1 {
		return ids[0], nil
	}
	spelled := make([]string, len(ids))
	for i, id := range ids {
		spelled[i], _ = t.Token(int(id))
	}
	return 0, fmt.Errorf("text %q is %d tokens, not one: ids %d spell %q", text, len(ids), ids,
		spelled)
}

// Lead returns how many ids Encode puts before those of every text: none for Qwen, one
// for Llama 3, "<|begin_of_text|>".
func (t *Tokenizer) Lead() int { return t.file.lead }

// Vocab returns the largest token id + 1, added tokens included: 151,669 for Qwen3.
func (t *Tokenizer) Vocab() int { return t.file.size }

// BaseVocab returns the number of tokens without the added ones: 151,643 for Qwen3.
func (t *Tokenizer) BaseVocab() int { return t.file.base }

// Token returns how the vocabulary writes a token, e.g. "Ġhello" for " hello". It
// returns false if there is no such id.
func (t *Tokenizer) Token(id int) (string, bool) {
	token, ok := t.file.tokens[id]
	return token, ok
}

// Close frees the tokenizer when the calls in progress have ended. Later calls of Encode,
// Tokens and Single fail; the others still answer. Closing again does nothing.
func (t *Tokenizer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	var errs []error
	for i := range t.instances {
		if rust := t.instances[i].rust; rust != nil {
			errs = append(errs, rust.Close())
		}
	}
	return errors.Join(errs...)
}

// encode tokenizes text in a mode; addTokens puts the tokenizer's tokens around it.
func (t *Tokenizer) encode(text string, mode int, addTokens bool) ([]int32, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("text is not UTF-8 at byte %d", validPrefix(text))
	}
	if strings.Contains(text, "\x00") {
		mode |= escapedNUL
		text = escapeNUL(text)
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	rust, err := t.instance(mode)
	if err != nil {
		return nil, err
	}
	if len(text) > largeText {
		defer trim()
	}
	ids := rust.EncodeWithOptions(text, addTokens).IDs
	if len(ids) == 0 && text != "" && t.file.reach != nil {
		// The binding reports errors and panics by no ids. Tokenizers that are not
		// byte-level may drop a text, such as one of blanks.
		return nil, fmt.Errorf("text of %d bytes gave no tokens; the tokenizer failed", len(text))
	}
	signed := make([]int32, len(ids))
	for i, id := range ids {
		signed[i] = int32(id)
	}
	return signed, nil
}

// instance returns the tokenizer in a mode, and loads it if needed. t.mu must be held
// for reading, and until the result is no longer used.
func (t *Tokenizer) instance(mode int) (*tokenizers.Tokenizer, error) {
	if t.closed {
		return nil, errors.New("tokenizer is closed")
	}
	in := &t.instances[mode]
	in.once.Do(func() { in.rust, in.err = t.file.load(mode) })
	return in.rust, in.err
}

// validPrefix returns how many leading bytes of text are UTF-8.
func validPrefix(text string) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(text)
}
