package tokenizer

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Regular expressions by which Qwen2 and Qwen3, and Llama 3, split text into pieces.
// Merges never cross the end of a piece. The two differ in how many digits a piece may
// have.
const (
	qwenPattern  = beforeDigits + `\p{N}` + afterDigits
	llamaPattern = beforeDigits + `\p{N}{1,3}` + afterDigits

	beforeDigits = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	afterDigits  = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// Lead returns how many ids Encode puts before those of every text: none for Qwen, one
// for Llama 3, "<|begin_of_text|>".
func (t *Tokenizer) Lead() int { return t.file.lead }

// Cut returns the last byte offset where text may be cut without changing any id: the
// ids of both parts, each encoded by itself and the second without its Lead, are those
// of the whole text, whatever is appended to text. It returns 0 if there is none.
// Callers that encode many texts with a common beginning can encode the beginning once.
// text may end inside a character.
//
// A cut is possible between a letter and a character that is not one, and behind a
// digit, which must be the last one if pieces may have several. No piece of the
// patterns continues there, and none looks further ahead than over blanks. Composition
// (NFC) joins only marks and letters to what precedes them. Cuts inside of added tokens
// are avoided. Tokenizers that split text in other ways have no cuts.
func (t *Tokenizer) Cut(text string) int {
	if t.file.digits == 0 {
		return 0
	}
	for i := len(text) - 1; i > 0; i-- {
		if t.file.separates(text, i) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// CutFront returns the first byte offset where text may be cut as Cut says, whatever is
// put before text; 0 if there is none.
func (t *Tokenizer) CutFront(text string) int {
	if t.file.digits == 0 {
		return 0
	}
	// An added token that begins before text ends before longestAdded.
	for i := max(1, t.file.longestAdded); i < len(text); i++ {
		if t.file.separates(text, i) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// separates reports whether a piece always ends before text[i:], and composition does
// not join the characters around i.
func (f *file) separates(text string, i int) bool {
	if !utf8.RuneStart(text[i]) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(text[i:])
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	letter := unicode.IsLetter(next)
	switch {
	case unicode.IsLetter(before):
		// NFC takes some letters apart, such as U+09DF; they end in a mark then.
		return !letter && isPlain(next) && (before < utf8.RuneSelf ||
			norm.NFC.IsNormalString(string(before)))
	case unicode.IsNumber(before) && unicode.IsNumber(next):
		return f.digits == 1 && isPlain(next)
	case unicode.IsNumber(before):
		return letter && next < utf8.RuneSelf || isPlain(next)
	}
	return false
}

// isPlain reports whether composition never joins the character to the one before it,
// and every version of Unicode gives it the same category.
func isPlain(r rune) bool {
	if r < utf8.RuneSelf {
		return !unicode.IsLetter(r)
	}
	return r != utf8.RuneError && (unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r))
}

// endsInToken reports whether text may end inside an added token.
func (f *file) endsInToken(text string) bool {
	for n := 1; n < f.longestAdded && n <= len(text); n++ {
		if _, begins := f.beginnings[text[len(text)-n:]]; begins {
			return true
		}
	}
	return false
}

// digitsInPiece returns how many digits a piece may have, if Cut knows this kind of
// file; else 0. Cut knows files with the pieces of Qwen or Llama 3, only NFC before
// them, byte-level merges, and added tokens that strip nothing around them. The
// post-processor is not considered here.
func (f *file) digitsInPiece() int {
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
		return 0
	}
	if !f.composesOnly() || f.model != "BPE" || len(pieces.Pretokenizers) != 2 {
		return 0
	}
	split, bytes := pieces.Pretokenizers[0], pieces.Pretokenizers[1]
	if split.Type != "Split" || split.Behavior != "Isolated" || split.Invert ||
		bytes.Type != "ByteLevel" || bytes.Prefix || bytes.UseRegex {
		return 0
	}
	for _, token := range f.added {
		if token.Strips || token.StripsRight || token.SingleWord {
			return 0
		}
	}
	return map[string]int{qwenPattern: 1, llamaPattern: 3}[split.Pattern.Regex]
}
