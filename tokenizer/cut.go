package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// qwenPattern is how Qwen2 and Qwen3 split text into pieces, which merges never cross.
const qwenPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// Cut finds a place, as far back as there is one, where text may be cut so that the ids of its two parts, each encoded by
// itself, are those of the whole, whatever is appended to text. It is 0 if there is none. Who has many texts that begin
// alike encodes the beginning once.
//
// It is a place behind a letter and before an ASCII character that is none. No piece of qwenPattern goes on behind its last
// letter, none looks further ahead than over blanks, composition (NFC) never joins such characters, and added tokens are
// stepped around. For tokenizers that split in another way there is no place.
func (t *Tokenizer) Cut(text string) int {
	if !t.file.divisible {
		return 0
	}
	for i := len(text) - 1; i > 0; i-- {
		if c := text[i]; c >= utf8.RuneSelf || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			continue
		}
		if r, _ := utf8.DecodeLastRuneInString(text[:i]); unicode.IsLetter(r) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// endsInToken tells whether text may end in the middle of an added token.
func (f *file) endsInToken(text string) bool {
	for _, token := range f.added {
		for n := 1; n < len(token.Content); n++ {
			if strings.HasSuffix(text, token.Content[:n]) {
				return true
			}
		}
	}
	return false
}

// canDivide tells whether the file is of the kind that Cut knows: Qwen's pieces, nothing but NFC before them, byte-level
// merges, and nothing added around a text or stripped around a token.
func (f *file) canDivide() bool {
	var pieces struct {
		Pretokenizers []struct {
			Type     string
			Pattern  struct{ Regex string }
			Behavior string
			Invert   bool
			Prefix   bool `json:"add_prefix_space"`
			UseRegex bool `json:"use_regex"`
		}
	}
	var normal, post, model struct{ Type string }
	for name, to := range map[string]any{"pre_tokenizer": &pieces, "normalizer": &normal, "post_processor": &post, "model": &model} {
		if raw := f.fields[name]; raw != nil && json.Unmarshal(raw, to) != nil {
			return false
		}
	}
	if (normal.Type != "" && normal.Type != "NFC") || (post.Type != "" && post.Type != "ByteLevel") || model.Type != "BPE" || len(pieces.Pretokenizers) != 2 {
		return false
	}
	split, bytes := pieces.Pretokenizers[0], pieces.Pretokenizers[1]
	if split.Type != "Split" || split.Pattern.Regex != qwenPattern || split.Behavior != "Isolated" || split.Invert ||
		bytes.Type != "ByteLevel" || bytes.Prefix || bytes.UseRegex {
		return false
	}
	for _, token := range f.added {
		if token.Strips || token.StripsRight || token.SingleWord {
			return false
		}
	}
	return true
}
