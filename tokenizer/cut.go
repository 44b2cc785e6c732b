package tokenizer

import (
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
func (t *Tokenizer) Cut(text string) int { return t.file.cuts.last(text) }

// CutFront returns the first byte offset where text may be cut as Cut says, whatever is
// put before text; 0 if there is none.
func (t *Tokenizer) CutFront(text string) int { return t.file.cuts.first(text) }

// cutter finds the places where texts may be cut. A nil cutter finds none.
type cutter struct {
	digits       int                 // how many digits a piece may have
	beginnings   map[string]struct{} // proper prefixes of added tokens
	longestAdded int                 // bytes of the longest added token
}

// newCutter returns nil for a kind of pipeline whose cuts are not known: see
// digitsInPiece.
func newCutter(p *pipeline) *cutter {
	digits := p.digitsInPiece()
	if _, alone := p.around(); digits == 0 || !alone {
		return nil
	}
	c := &cutter{digits: digits, beginnings: map[string]struct{}{}}
	for _, token := range p.added {
		c.longestAdded = max(c.longestAdded, len(token.Content))
		for n := 1; n < len(token.Content); n++ {
			c.beginnings[token.Content[:n]] = struct{}{}
		}
	}
	return c
}

// last is Tokenizer.Cut.
func (c *cutter) last(text string) int {
	if c == nil {
		return 0
	}
	for i := len(text) - 1; i > 0; i-- {
		if c.separates(text, i) && !c.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// first is Tokenizer.CutFront.
func (c *cutter) first(text string) int {
	if c == nil {
		return 0
	}
	// An added token that begins before text ends before longestAdded.
	for i := max(1, c.longestAdded); i < len(text); i++ {
		if c.separates(text, i) && !c.endsInToken(text[:i]) {
			return i
		}
	}
	return 0
}

// separates reports whether a piece always ends before text[i:], and composition does
// not join the characters around i. It is false inside a character.
func (c *cutter) separates(text string, i int) bool {
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
		return c.digits == 1 && isPlain(next)
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
func (c *cutter) endsInToken(text string) bool {
	for n := 1; n < c.longestAdded && n <= len(text); n++ {
		if _, begins := c.beginnings[text[len(text)-n:]]; begins {
			return true
		}
	}
	return false
}
