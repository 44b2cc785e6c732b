package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// reach holds how long the tokens are that a byte can be part of.
type reach struct {
	ascii  [utf8.RuneSelf]int // by byte: bytes of the longest token with it; 0: ignored
	others int                // the same for all bytes beyond ASCII together
}

// Least returns a lower bound of the number of tokens in text, in time linear in its
// length; 0 if no bound is known for this kind of tokenizer.
//
// A token of n bytes holds only bytes whose longest token has n bytes or more. So the
// sum of 1/longest over a token's bytes is at most 1, and the sum over a text's bytes
// is at most its number of tokens. Composition (NFC) may turn three bytes beyond ASCII
// into one, and absorb the ASCII character before them.
func (t *Tokenizer) Least(text string) int {
	return t.file.reach.least(text)
}

// least is Tokenizer.Least. It is 0 for a nil reach.
func (r *reach) least(text string) int {
	if r == nil {
		return 0
	}
	var counts [utf8.RuneSelf]int
	others := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			others++
		case i+1 == len(text) || text[i+1] < utf8.RuneSelf:
			counts[c]++
		}
	}
	sum := float64(others) / float64(3*r.others)
	for c, n := range counts {
		if r.ascii[c] > 0 {
			sum += float64(n) / float64(r.ascii[c])
		}
	}
	return int(sum * (1 - 1e-9)) // rounding errors of 130 float64 terms are far smaller
}

// newReach returns nil unless the tokenizer is byte-level BPE over a vocabulary
// that has every byte, only NFC precedes it, and no added token absorbs blanks. Other
// tokenizers may make one token of a text of any length.
func newReach(p *pipeline, vocab map[string]int32) *reach {
	if !p.composesOnly() || p.model != "BPE" ||
		!strings.Contains(string(p.fields["pre_tokenizer"]), `"ByteLevel"`) {
		return nil
	}
	r := &reach{others: 1}
	note := func(bytes []byte) {
		for _, c := range bytes {
			if c >= utf8.RuneSelf {
				r.others = max(r.others, len(bytes))
			} else {
				r.ascii[c] = max(r.ascii[c], len(bytes))
			}
		}
	}
	alphabet := byteAlphabet()
	single := 0
	for token := range vocab {
		bytes := make([]byte, 0, len(token))
		for _, character := range token {
			c, known := alphabet[character]
			if !known {
				bytes = []byte(token) // an added token that is listed here, too
				break
			}
			bytes = append(bytes, c)
		}
		if len(bytes) == 1 {
			single++
		}
		note(bytes)
	}
	if single < 256 {
		return nil
	}
	for _, token := range p.added {
		note([]byte(token.Content))
		if token.Strips || token.StripsRight { // it absorbs any number of blanks
			return nil
		}
	}
	return r
}

// byteAlphabet returns the bytes that the characters of byte-level BPE stand for.
// Printable bytes stand for themselves; the others are the characters from U+0100 on,
// in order (bytes_to_unicode in GPT-2's encoder.py).
func byteAlphabet() map[rune]byte {
	alphabet := make(map[rune]byte, 256)
	next := rune(256)
	for c := range rune(256) {
		if c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae {
			alphabet[c] = byte(c)
			continue
		}
		alphabet[next] = byte(c)
		next++
	}
	return alphabet
}
