package tokenizer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestCut: whatever follows, a text's ids are those of its two parts. Texts come from
// the corpus, whole and cut short at random places; what follows comes from it too.
func TestCut(t *testing.T) {
	for name, tok := range map[string]*Tokenizer{"qwen3": open(t, qwen3(t)), "llama3": llama3(t)} {
		t.Run(name, func(t *testing.T) { testCut(t, tok) })
	}
}

func testCut(t *testing.T, tok *Tokenizer) {
	var texts []string
	for _, v := range qwen3Corpus(t).vectors {
		if text := v.text(); len(text) < 2000 {
			texts = append(texts, text)
		}
	}
	random := rand.New(rand.NewPCG(3, 3))
	some := func() string { return texts[random.IntN(len(texts))] }
	cuts, cutsFront := 0, 0
	for n := range 6000 {
		text := some()
		if random.IntN(2) == 0 {
			runes := []rune(text)
			text = string(runes[:random.IntN(len(runes)+1)])
		}
		if checkCut(t, tok, text, some(), n%4 == 3) {
			cuts++
		}
		if n%3 == 0 && checkCutFront(t, tok, some(), text, some(), n%4 == 3) {
			cutsFront++
		}
	}
	if cuts < 2000 || cutsFront < 300 {
		t.Errorf("only %d of 6000 texts could be cut, %d of 2000 at their front", cuts, cutsFront)
	}
}

// TestCutBehindEveryLetter: some letters are two characters once composed, the second a
// mark.
func TestCutBehindEveryLetter(t *testing.T) {
	tok := open(t, qwen3(t))
	for _, table := range []*unicode.RangeTable{unicode.L, unicode.N} {
		for _, r := range table.R16 {
			for c := rune(r.Lo); c <= rune(r.Hi) && c < 0x3400; c += rune(r.Stride) {
				checkCut(t, tok, string(c)+".a", "", false)
				checkCut(t, tok, string(c)+"'s", "", false)
			}
			checkCut(t, tok, string(rune(r.Hi))+".a", "", false)
			checkCut(t, tok, string(rune(r.Hi))+"'s", "", false)
		}
	}
	for c := rune(0xfb1d); c <= 0xfb4f; c++ {
		checkCut(t, tok, string(c)+".a", "", false)
		checkCut(t, tok, string(c)+"'s", "", false)
	}
}

// checkCutFront wants the law to hold for text between what stands before and behind
// it, and tells whether text could be cut.
func checkCutFront(t *testing.T, tok *Tokenizer, before, text, next string, plain bool) bool {
	t.Helper()
	at := tok.CutFront(text)
	if at > 0 {
		checkParts(t, tok, before+text[:at], text[at:]+next, plain)
	}
	return at > 0
}

// checkCut wants the law to hold for text and what follows it, and tells whether text
// could be cut.
func checkCut(t *testing.T, tok *Tokenizer, text, next string, plain bool) bool {
	t.Helper()
	at := tok.Cut(text)
	if at == 0 {
		return false
	}
	checkParts(t, tok, text[:at], text[at:]+next, plain)
	return true
}

// checkParts wants the ids of two parts, each encoded by itself, to be those of the
// whole.
func checkParts(t *testing.T, tok *Tokenizer, first, second string, plain bool) {
	t.Helper()
	whole, err := tok.Encode(first+second, plain)
	if err != nil {
		t.Fatal(err)
	}
	var parts []int32
	for i, part := range []string{first, second} {
		ids, err := tok.Encode(part, plain)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			ids = ids[tok.Lead():]
		}
		parts = append(parts, ids...)
	}
	if !slices.Equal(whole, parts) {
		t.Errorf("%q cut before %q (plain %t): ids %v, of the parts %v", first, second, plain, whole, parts)
	}
	if least := tok.Least(first + second); least > len(whole) {
		t.Errorf("%q has %d tokens, Least says %d", first+second, len(whole), least)
	}
}

func TestCutPlaces(t *testing.T) {
	tok := open(t, qwen3(t))
	for text, want := range map[string]int{
		"":                     0,
		"word":                 0, // what follows may go on with it
		"two words":            3,
		"a \u0958.":            1, // a letter that NFC takes apart ends in a mark
		"a sentence. ":         10,
		"ends in <|im":         7, // not inside what may become <|im_end|>
		"ends in <|im_end|> x": 7, // nor inside what is one
		"résumé, e":            8,
		"e\u0301 x":            0, // a mark is no letter
		"日本語。":                 9,
		"日本語 x":                9,
		"日本\u3099":             0, // a mark may join what stands before it
		"1 2 3":                3, // a digit is a piece of its own
		"x1é":                  1, // an accent may come as a mark
		"12\xe6\x97":           1, // a text's leading bytes may end inside a character
		"it's":                 2,
	} {
		if got := tok.Cut(text); got != want {
			t.Errorf("Cut(%q) = %d, want %d", text, got, want)
		}
		if !utf8.ValidString(text) {
			continue
		}
		for _, next := range []string{"", "s", "\u0301", "_end|>", "|>", " ", "\n\nx", "'s", "\u0338"} {
			checkCut(t, tok, text, next, false)
		}
	}
	// A file that splits in another way is never cut.
	if small := open(t, smallCorpus(t).tokenizer); small.Cut("two words here") != 0 {
		t.Error("a tokenizer of another kind is cut")
	}
}

// TestCutPlacesOfLlama3: as Qwen's, but for digits, of which a piece has three.
func TestCutPlacesOfLlama3(t *testing.T) {
	tok := llama3(t)
	for text, want := range map[string]int{
		"two words":              3,
		"1 2 3":                  3,
		"1234":                   0,
		"1234 5":                 4,
		"12a":                    2,
		"ends in <|start_header": 7,
	} {
		if got := tok.Cut(text); got != want {
			t.Errorf("Cut(%q) = %d, want %d", text, got, want)
		}
		for _, next := range []string{"", "5", "678", " ", "_id|>"} {
			checkCut(t, tok, text, next, false)
		}
	}
}

// TestLead: what stands before a text's ids, and that a text with more around it is not
// cut.
func TestLead(t *testing.T) {
	const split = `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":%q},"behavior":"Isolated"},{"type":"ByteLevel"}]}`
	template := func(single, ids string) string {
		return `{"type":"TemplateProcessing","single":[` + single + `],"special_tokens":{"<s>":{"ids":[` + ids + `]}}}`
	}
	const special, text = `{"SpecialToken":{"id":"<s>"}}`, `{"Sequence":{"id":"A"}}`
	for post, want := range map[string]struct{ lead, cut int }{
		`null`:                                      {0, 3},
		`{"type":"ByteLevel"}`:                      {0, 3},
		template(text, "7"):                         {0, 3},
		template(special+","+text, "7"):             {1, 3},
		template(special+","+text, "7,8"):           {2, 3},
		template(text+","+special, "7"):             {0, 0},
		template(special+","+text+","+special, "7"): {1, 0},
		`{"type":"Sequence","processors":[{"type":"ByteLevel"},` + template(special+","+text, "7") + `]}`: {1, 3},
		`{"type":"Sequence","processors":[` + template(text+","+special, "7") + `,{"type":"ByteLevel"}]}`: {0, 0},
		`{"type":"BertProcessing","sep":["<s>",7],"cls":["<s>",7]}`:                                       {0, 0},
		`"?"`: {0, 0},
	} {
		f := &file{}
		if err := f.parse(fmt.Appendf(nil, `{"model":{"type":"BPE","vocab":{"a":0}},`+split+`,"post_processor":%s}`, llamaPattern, post)); err != nil {
			t.Fatal(err)
		}
		tok := &Tokenizer{file: f}
		if lead, cut := tok.Lead(), tok.Cut("two words"); lead != want.lead || cut != want.cut {
			t.Errorf("%s: a lead of %d and a cut at %d, want %d and %d", post, lead, cut, want.lead, want.cut)
		}
	}
}

// likeLlama3 opens a tokenizer once for all tests, as Qwen3's. It has Qwen3's tokens,
// splits text as Llama 3's does, puts a token before it, and takes words that are tokens
// as they are.
var likeLlama3 = sync.OnceValues(func() (*Tokenizer, error) {
	data, err := os.ReadFile(filepath.Join(qwen3Folder(), "tokenizer.json"))
	if err != nil {
		return nil, err
	}
	var f map[string]any
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	split := f["pre_tokenizer"].(map[string]any)["pretokenizers"].([]any)[0].(map[string]any)
	split["pattern"] = map[string]any{"Regex": llamaPattern}
	f["normalizer"] = nil
	f["model"].(map[string]any)["ignore_merges"] = true
	const begin = "<|start_header_id|>"
	id := 151_669
	f["added_tokens"] = append(f["added_tokens"].([]any), map[string]any{"id": id, "content": begin, "special": true,
		"single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	f["post_processor"] = map[string]any{"type": "Sequence", "processors": []any{f["post_processor"], map[string]any{
		"type":           "TemplateProcessing",
		"single":         []any{map[string]any{"SpecialToken": map[string]any{"id": begin, "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
		"pair":           []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}}},
		"special_tokens": map[string]any{begin: map[string]any{"id": begin, "ids": []int{id}, "tokens": []string{begin}}},
	}}}
	if data, err = json.Marshal(f); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "llama3")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // Open has read the file
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), data, 0o600); err != nil {
		return nil, err
	}
	return Open(dir)
})

func llama3(t testing.TB) *Tokenizer {
	t.Helper()
	qwen3(t) // says what to do if its file is not there
	tok, err := likeLlama3()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func FuzzCut(f *testing.F) {
	tok := open(f, qwen3(f))
	for _, seed := range [][2]string{{"two words", " more"}, {"a <|im", "_end|>"}, {"caf", "e\u0301"}, {"x\n\n ", "y"}, {"it's ", "\u017f"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, next string) {
		text, next = strings.ToValidUTF8(text, "?"), strings.ToValidUTF8(next, "?")
		for _, plain := range []bool{false, true} {
			checkCut(t, tok, text, next, plain)
			checkCutFront(t, tok, next, text, next, plain)
		}
	})
}
