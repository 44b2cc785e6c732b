// Package tokenizer gives the token ids that Hugging Face tokenizers give for a tokenizer.json, through its own Rust code
// (github.com/daulet/tokenizers). It adds what that binding lacks: errors, NUL bytes, and safety after Close.
package tokenizer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/daulet/tokenizers"
)

// Tokenizer is one tokenizer.json. It is safe for concurrent use.
type Tokenizer struct {
	path     string
	file     *file
	variants map[variant]func() (*tokenizers.Tokenizer, error)

	mu     sync.RWMutex // held for reading while Rust code runs, so that Close cannot free it meanwhile
	loaded []*tokenizers.Tokenizer
	closed bool
}

// variant is a way of reading text. Each needs its own copy of the tokenizer, made when it is first used.
type variant struct {
	plainSpecials bool // special-token text is ordinary text
	escapedNUL    bool // see escapeNUL
}

// Open loads path, a tokenizer.json or a folder that holds one.
func Open(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
	}
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{path: path, file: f, variants: map[variant]func() (*tokenizers.Tokenizer, error){}}
	for _, plain := range []bool{false, true} {
		for _, escaped := range []bool{false, true} {
			v := variant{plain, escaped}
			t.variants[v] = sync.OnceValues(func() (*tokenizers.Tokenizer, error) { return t.load(v) })
		}
	}
	if _, err := t.variants[variant{}](); err != nil {
		return nil, err
	}
	return t, nil
}

// Encode gives the ids of text, with the special tokens around it that the tokenizer adds by default (Qwen3 adds none).
// Special-token text such as "<|im_end|>" becomes that token or, with plainSpecials, is ordinary text. Text must be UTF-8.
func (t *Tokenizer) Encode(text string, plainSpecials bool) ([]int32, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("text is not UTF-8 at byte %d", invalidAt(text))
	}
	if text == "" && !t.file.addsTokens() {
		return nil, nil
	}
	v := variant{plainSpecials: plainSpecials}
	if strings.IndexByte(text, 0) >= 0 {
		v.escapedNUL = true
		text = escapeNUL(text)
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return nil, errors.New("tokenizer is closed")
	}
	rust, err := t.variants[v]()
	if err != nil {
		return nil, err
	}
	ids := rust.EncodeWithOptions(text, true).IDs
	if len(ids) == 0 {
		// The binding reports its faults this way; every text has at least one token.
		return nil, fmt.Errorf("text of %d bytes gave no tokens; the tokenizer failed", len(text))
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out, nil
}

// Label gives the id of a text that is exactly one token, as a label must be.
func (t *Tokenizer) Label(text string) (int32, error) {
	ids, err := t.Encode(text, false)
	if err != nil {
		return 0, err
	}
	if len(ids) != 1 {
		return 0, fmt.Errorf("label %q is %d tokens %v; use a text that is one token", text, len(ids), ids)
	}
	return ids[0], nil
}

// Vocab is one more than the largest token id, added tokens included: 151,669 for Qwen3.
func (t *Tokenizer) Vocab() int { return t.file.vocab() }

// BaseVocab is the number of tokens without the added ones: 151,643 for Qwen3.
func (t *Tokenizer) BaseVocab() int { return len(t.file.Model.Vocab) }

// Close frees the tokenizer. Later calls of Encode fail; calling Close again does nothing.
func (t *Tokenizer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, rust := range t.loaded {
		errs = append(errs, rust.Close())
	}
	t.loaded, t.closed = nil, true
	return errors.Join(errs...)
}

func (t *Tokenizer) load(v variant) (*tokenizers.Tokenizer, error) {
	data := t.file.raw
	if v.escapedNUL {
		var err error
		if data, err = t.file.withNULNormalizer(); err != nil {
			return nil, fmt.Errorf("tokenizer %s cannot be adapted to NUL bytes: %w", t.path, err)
		}
	}
	var options []tokenizers.TokenizerOption
	if v.plainSpecials {
		options = append(options, tokenizers.WithEncodeSpecialTokens())
	}
	rust, err := tokenizers.FromBytes(data, options...)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s does not load: %w", t.path, err)
	}
	t.file.mu.Lock()
	defer t.file.mu.Unlock()
	t.loaded = append(t.loaded, rust)
	return rust, nil
}

func invalidAt(text string) int {
	for i, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
			return i
		}
	}
	return len(text)
}
