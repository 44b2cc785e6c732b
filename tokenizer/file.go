package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
)

// file is what we need to know of a tokenizer.json.
type file struct {
	Model struct {
		Vocab map[string]int `json:"vocab"`
	} `json:"model"`
	AddedTokens []struct {
		ID int `json:"id"`
	} `json:"added_tokens"`
	PostProcessor json.RawMessage `json:"post_processor"`

	raw []byte
	mu  sync.Mutex // guards Tokenizer.loaded while variants load under the read lock
}

func readFile(path string) (*file, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer cannot be read: %w", err)
	}
	f := &file{raw: raw}
	if err := json.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("tokenizer %s is not a tokenizer.json: %w", path, err)
	}
	if len(f.Model.Vocab) == 0 {
		return nil, fmt.Errorf("tokenizer %s has no model.vocab; a Hugging Face tokenizer.json is needed", path)
	}
	return f, nil
}

func (f *file) vocab() int {
	largest := -1
	for _, id := range f.Model.Vocab {
		largest = max(largest, id)
	}
	for _, token := range f.AddedTokens {
		largest = max(largest, token.ID)
	}
	return largest + 1
}

// addsTokens tells whether the tokenizer puts tokens of its own around a text, which then has some even when empty.
func (f *file) addsTokens() bool { return strings.Contains(string(f.PostProcessor), "special_tokens") }

// The binding passes text as a C string, which ends at the first NUL. So a text with NULs is escaped: every mark becomes
// mark+"1" and every NUL mark+"0", where the mark is a code point that Unicode will never assign. A tokenizer whose first
// normalizers undo that sees the text as it was. Added tokens are looked for before normalizing; none holds a mark or NUL.
const (
	mark       = "\ufdd0"
	markedNUL  = mark + "0"
	markedMark = mark + "1"
)

func escapeNUL(text string) string {
	return strings.NewReplacer("\x00", markedNUL, mark, markedMark).Replace(text)
}

// withNULNormalizer is the tokenizer.json with normalizers that undo escapeNUL before its own.
func (f *file) withNULNormalizer() ([]byte, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(f.raw, &whole); err != nil {
		return nil, err
	}
	replace := func(pattern, content string) any {
		return map[string]any{"type": "Replace", "pattern": map[string]string{"String": pattern}, "content": content}
	}
	steps := []any{replace(markedNUL, "\x00"), replace(markedMark, mark)}
	if own := whole["normalizer"]; len(own) > 0 && string(own) != "null" {
		steps = append(steps, own)
	}
	normalizer, err := json.Marshal(map[string]any{"type": "Sequence", "normalizers": steps})
	if err != nil {
		return nil, err
	}
	whole["normalizer"] = normalizer
	return json.Marshal(whole)
}
