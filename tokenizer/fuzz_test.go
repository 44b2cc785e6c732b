package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FuzzEncode: any UTF-8 text comes back in Qwen3's normal form, NFC, with special
// tokens parsed or not.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"", "Hello, world!\n", "e\u0301 \u1112\u1161\u11ab \u0e19\u0e49\u0e33", "\x00a\x00\ufdd0\ufdd1", "👨‍👩‍👧", "<|im_start|>user<think>", "<|im_end", "\ufeff\u2028\u00a0",
		strings.Repeat("\u0301", 50), "\U000f0000", "\xff"} {
		f.Add(seed)
	}
	tok := open(f, qwen3(f))
	for mode := range tok.instances { // now, for a call that takes seconds would be seen as one that hangs
		if _, err := tok.instance(mode); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, plain := range []bool{false, true} {
			ids, err := tok.Encode(text, plain)
			if !utf8.ValidString(text) {
				if err == nil {
					t.Fatalf("%q, which is no UTF-8, has ids %v", text, ids)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			back := spell(t, tok, ids)
			want := normalForm(tok, text)
			if strings.Count(want, "\u034f") > strings.Count(text, "\u034f") {
				continue // beyond 30 marks on a letter x/text puts joiners between them, which NFC does not
			}
			if back != want {
				t.Fatalf("%q comes back as %q, want %q", text, back, want)
			}
		}
	})
}

// normalForm is NFC of each stretch between added tokens, which are found before a text
// is normalized.
func normalForm(tok *Tokenizer, text string) string {
	at, found := len(text), ""
	for _, token := range tok.file.added {
		if i := strings.Index(text, token.Content); i >= 0 && i < at {
			at, found = i, token.Content
		}
	}
	if found == "" {
		return norm.NFC.String(text)
	}
	return norm.NFC.String(text[:at]) + found + normalForm(tok, text[at+len(found):])
}
