package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// qwenPattern is how Qwen2 and Qwen3 split text into pieces, which merges never cross.
const qwenPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// Cut finds the last place where text may be cut so that the ids of its two parts, each encoded by itself, are those of
// the whole, whatever is appended to text. It is 0 if there is none. Callers that encode many texts with a common
// beginning can encode it once. text may end inside a character.
//
// Such a place is behind a letter and before a character that is none, or behind a digit. No piece of qwenPattern goes on
// behind its last letter or its one digit, none looks further ahead than over blanks, composition (NFC) joins only marks
// and letters to what stands before them, and added tokens are stepped around. For tokenizers that split in another way
// there is no place.
func (t *Tokenizer) Cut(text string) int {
	if !t.file.divisible {
		return 0
	}
	for i := len(text) - 1; i > 0; i-- {
		if separates(text, i) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// CutFront finds the first place where text may be cut as Cut says, whatever is put before text as well.
func (t *Tokenizer) CutFront(text string) int {
	if !t.file.divisible {
		return 0
	}
	// An added token that begins before text ends before this.
	for i := max(1, t.file.longestAdded); i < len(text); i++ {
		if separates(text, i) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// separates tells whether a piece always ends before text[i:] and composition does not join what stands around.
func separates(text string, i int) bool {
	if !utf8.RuneStart(text[i]) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(text[i:])
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	letter := unicode.IsLetter(next)
	switch {
	case unicode.IsLetter(before):
		// Letters that NFC takes apart, as U+09DF, end in a mark once composed.
		return !letter && isPlain(next) && (before < utf8.RuneSelf || norm.NFC.IsNormalString(string(before)))
	case unicode.IsNumber(before):
		return letter && next < utf8.RuneSelf || isPlain(next)
	}
	return false
}

// isPlain tells whether the character is one that composition never joins to the one before it, and that every version of
// Unicode gives the same kind.
func isPlain(r rune) bool {
	if r < utf8.RuneSelf {
		return !unicode.IsLetter(r)
	}
	return r != utf8.RuneError && (unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r))
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
	if raw := f.fields["pre_tokenizer"]; raw != nil && json.Unmarshal(raw, &pieces) != nil {
		return false
	}
	post := f.typeOf("post_processor")
	if !f.composesOnly() || (post != "" && post != "ByteLevel") || f.model != "BPE" || len(pieces.Pretokenizers) != 2 {
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
