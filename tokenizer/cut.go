package tokenizer

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// How Qwen2 and Qwen3, and how Llama 3 split text into pieces, which merges never cross. They differ in how many digits
// a piece has.
const (
	qwenPattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// Lead is how many ids Encode puts before those of every text: none for Qwen, one for Llama 3, "<|begin_of_text|>".
func (t *Tokenizer) Lead() int { return t.file.lead }

// Cut finds the last place where text may be cut so that the ids of its two parts, each encoded by itself and the second
// without its Lead, are those of the whole, whatever is appended to text. It is 0 if there is none. Callers that encode
// many texts with a common beginning can encode it once. text may end inside a character.
//
// Such a place is behind a letter and before a character that is none, or behind a digit, which is the last one where
// pieces have several. No piece of the patterns goes on there, none looks further ahead than over blanks, composition
// (NFC) joins only marks and letters to what stands before them, and added tokens are stepped around. For tokenizers that
// split in another way there is no place.
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

// CutFront finds the first place where text may be cut as Cut says, whatever is put before text as well.
func (t *Tokenizer) CutFront(text string) int {
	if t.file.digits == 0 {
		return 0
	}
	// An added token that begins before text ends before this.
	for i := max(1, t.file.longestAdded); i < len(text); i++ {
		if t.file.separates(text, i) && !t.file.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// separates tells whether a piece always ends before text[i:] and composition does not join what stands around.
func (f *file) separates(text string, i int) bool {
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
	case unicode.IsNumber(before) && unicode.IsNumber(next):
		return f.digits == 1 && isPlain(next)
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
	for n := 1; n < f.longestAdded && n <= len(text); n++ {
		if _, begins := f.beginnings[text[len(text)-n:]]; begins {
			return true
		}
	}
	return false
}

// digitsInPiece is how many digits a piece has at most, where the file is of the kind that Cut knows, what it puts around
// a text aside: the pieces of Qwen or Llama 3, nothing but NFC before them, byte-level merges, and nothing stripped around
// a token. Else it is 0.
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
	if split.Type != "Split" || split.Behavior != "Isolated" || split.Invert || bytes.Type != "ByteLevel" || bytes.Prefix || bytes.UseRegex {
		return 0
	}
	for _, token := range f.added {
		if token.Strips || token.StripsRight || token.SingleWord {
			return 0
		}
	}
	return map[string]int{qwenPattern: 1, llamaPattern: 3}[split.Pattern.Regex]
}
