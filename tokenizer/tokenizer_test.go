package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestEncodeEdges(t *testing.T) {
	tok := open(t, qwen3(t))
	for _, plain := range []bool{false, true} {
		if ids, err := tok.Encode("", plain); err != nil || len(ids) != 0 {
			t.Errorf("Encode of nothing = %v, %v; want no ids and no error", ids, err)
		}
	}
	for text, offset := range map[string]string{
		"\xff":          "byte 0",
		"abc\xffdef":    "byte 3",
		"日本\xe8\xaa":    "byte 6", // the third character is cut
		"\x00\xc0\x80":  "byte 1", // NUL as Java writes it
		"a\xed\xa0\x80": "byte 1", // a surrogate
		"\ufffd\xf8":    "byte 3", // U+FFFD itself is valid
	} {
		for _, plain := range []bool{false, true} {
			if ids, err := tok.Encode(text, plain); err == nil || !strings.HasSuffix(err.Error(), offset) {
				t.Errorf("Encode(%q) = %v, %v; want an error that names %s", text, ids, err, offset)
			}
		}
		if _, err := tok.Single(text); err == nil || !strings.HasSuffix(err.Error(), offset) {
			t.Errorf("Single(%q): %v; want an error that names %s", text, err, offset)
		}
	}
}

func TestEncodeMegabytes(t *testing.T) {
	tok := open(t, qwen3(t))
	const lines = 50_000
	// A token never spans a line end and a letter after it, so the whole is its lines.
	for _, line := range []string{"The quick brown fox.\n", "NUL \x00, 日本語\n"} {
		one, err := tok.Encode(line, false)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tok.Encode(strings.Repeat(line, lines), false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, slices.Repeat(one, lines)) {
			t.Errorf("%d lines %q have %d ids, which are not %d times those of one, %v", lines, line, len(ids), lines, one)
		}
	}
}

func TestSingle(t *testing.T) {
	tok := open(t, qwen3(t))
	for text, want := range map[string]int32{
		"Yes": 9454, " Yes": 7414, "No": 2753, "\n": 198, "\x00": 188, "<|im_end|>": 151645, "<think>": 151667, "e\u0301": 963,
	} {
		if id, err := tok.Single(text); err != nil || id != want {
			t.Errorf("Single(%q) = %d, %v; want %d", text, id, err, want)
		}
	}
	for text, want := range map[string]string{
		"":              `text "" is 0 tokens, not one: ids [] spell []`,
		"Yes No":        `text "Yes No" is 2 tokens, not one: ids [9454 2308] spell ["Yes" "ĠNo"]`,
		"<|im_end|>\n":  `text "<|im_end|>\n" is 2 tokens, not one: ids [151645 198] spell ["<|im_end|>" "Ċ"]`,
		"\x00\x01":      `text "\x00\x01" is 2 tokens, not one: ids [188 189] spell ["Ā" "ā"]`,
		"é\U0001f9ff":   "",
		"unbelievably!": "",
	} {
		if id, err := tok.Single(text); err == nil || want != "" && err.Error() != want {
			t.Errorf("Single(%q) = %d, %v; want %q", text, id, err, want)
		}
	}
}

// The tokens that a tokenizer puts around a text are not part of what a text is by
// itself.
func TestSingleAddsNothing(t *testing.T) {
	tok := open(t, "../tests/tokenizer/small")
	if id, err := tok.Single("hello"); err != nil || id != 259 {
		t.Errorf(`Single("hello") = %d, %v; want 259`, id, err)
	}
}

func TestVocabulary(t *testing.T) {
	tok := open(t, qwen3(t))
	if tok.Vocab() != 151_669 || tok.BaseVocab() != 151_643 {
		t.Errorf("Vocab, BaseVocab = %d, %d; want 151669, 151643", tok.Vocab(), tok.BaseVocab())
	}
	for id := range tok.Vocab() {
		if _, ok := tok.Token(id); !ok {
			t.Fatalf("Token(%d) is unknown; Qwen3 has no gaps", id)
		}
	}
	for id, want := range map[int]string{0: "!", 198: "Ċ", 7414: "ĠYes", 151_643: "<|endoftext|>", 151_668: "</think>"} {
		if token, ok := tok.Token(id); !ok || token != want {
			t.Errorf("Token(%d) = %q, %t; want %q", id, token, ok, want)
		}
	}
	for _, id := range []int{-1, 151_669, 151_935} {
		if token, ok := tok.Token(id); ok {
			t.Errorf("Token(%d) = %q; want none", id, token)
		}
	}
}

// spell puts together the text that ids stand for, from how the vocabulary writes each
// token: an added token as it is, any other as the characters that stand for its bytes.
func spell(t testing.TB, tok *Tokenizer, ids []int32) string {
	t.Helper()
	alphabet := byteAlphabet()
	var text []byte
	for _, id := range ids {
		token, ok := tok.Token(int(id))
		if !ok {
			t.Fatalf("token id %d is not in the vocabulary of %d", id, tok.Vocab())
		}
		if int(id) >= tok.BaseVocab() {
			text = append(text, token...)
			continue
		}
		for _, character := range token {
			text = append(text, alphabet[character])
		}
	}
	return string(text)
}

func TestRoundTrip(t *testing.T) {
	tok := open(t, qwen3(t))
	for text, want := range map[string]string{
		"":                              "",
		"Hello, world!\n":               "Hello, world!\n",
		"e\u0301":                       "é", // NFC
		"<|im_start|>user<think>":       "<|im_start|>user<think>",
		"\x00":                          "\x00",
		"a\x00<|im_end|>\x00\ufdd0":     "a\x00<|im_end|>\x00\ufdd0",
		"\ufdd0\ufdd1\ufdd2":            "\ufdd0\ufdd1\ufdd2",
		"\x00\ufdd0\ufdd1\ufdd2e\u0301": "\x00\ufdd0\ufdd1\ufdd2é",
	} {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := spell(t, tok, ids); got != want {
			t.Errorf("ids of %q spell %q; want %q", text, got, want)
		}
	}
}

// Text that ids spell has the very ids again.
func TestRoundTripVectors(t *testing.T) {
	c := qwen3Corpus(t)
	tok := open(t, c.tokenizer)
	for _, v := range c.vectors {
		ids, err := tok.Encode(v.text(), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := (vector{Category: v.Category, Text: spell(t, tok, ids), IDs: v.IDs}).check(tok, false); err != nil {
			t.Error(err)
		}
	}
}

func TestClose(t *testing.T) {
	tok, err := Open(qwen3(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tok.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_, encode := tok.Encode("text", false)
	_, first := tok.Encode("\x00", true) // a mode that was never loaded
	_, single := tok.Single("text")
	for name, err := range map[string]error{"Encode": encode, "first plain Encode": first, "Single": single} {
		if err == nil || err.Error() != "tokenizer is closed" {
			t.Errorf("%s after Close: %v; want that it is closed", name, err)
		}
	}
	if token, ok := tok.Token(198); !ok || token != "Ċ" || tok.Vocab() != 151_669 {
		t.Errorf("Token(198) after Close = %q, %t; the vocabulary outlives Close", token, ok)
	}
}

// Close amid calls: each call gives the right ids or the error, and never touches what
// Close freed.
func TestCloseDuringEncode(t *testing.T) {
	tok, err := Open("../tests/tokenizer/small")
	if err != nil {
		t.Fatal(err)
	}
	const callers = 8
	var begun, group sync.WaitGroup
	begun.Add(callers)
	for caller := range callers {
		group.Go(func() {
			for call := 0; ; call++ {
				ids, err := tok.Encode("hello hello", caller%2 == 0)
				if call == 0 {
					begun.Done()
				}
				if err != nil {
					if err.Error() != "tokenizer is closed" {
						t.Error(err)
					}
					return
				}
				if !slices.Equal(ids, []int32{263, 259, 260}) {
					t.Errorf("ids %v; want [263 259 260]", ids)
				}
			}
		})
	}
	begun.Wait()
	if err := tok.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
}
