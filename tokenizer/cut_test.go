package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCut: whatever follows, a text's ids are those of its two parts. Texts come from the corpus, whole and cut short at
// random places; what follows comes from it too.
func TestCut(t *testing.T) {
	tok := open(t, qwen3(t))
	var texts []string
	for _, v := range qwen3Corpus(t).vectors {
		if text := v.text(); len(text) < 2000 {
			texts = append(texts, text)
		}
	}
	random := rand.New(rand.NewPCG(3, 3))
	some := func() string { return texts[random.IntN(len(texts))] }
	cuts := 0
	for n := range 6000 {
		text := some()
		if random.IntN(2) == 0 {
			runes := []rune(text)
			text = string(runes[:random.IntN(len(runes)+1)])
		}
		if checkCut(t, tok, text, some(), n%4 == 3) {
			cuts++
		}
	}
	if cuts < 2000 {
		t.Errorf("only %d of 6000 texts could be cut", cuts)
	}
}

// checkCut wants the law to hold for text and what follows it, and tells whether text could be cut.
func checkCut(t *testing.T, tok *Tokenizer, text, next string, plain bool) bool {
	t.Helper()
	at := tok.Cut(text)
	if at == 0 {
		return false
	}
	whole, err := tok.Encode(text+next, plain)
	if err != nil {
		t.Fatal(err)
	}
	var parts []int32
	for _, part := range []string{text[:at], text[at:] + next} {
		ids, err := tok.Encode(part, plain)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, ids...)
	}
	if !slices.Equal(whole, parts) {
		t.Errorf("%q cut at %d (plain %t), then %q: ids %v, of the parts %v", text, at, plain, next, whole, parts)
	}
	return true
}

func TestCutPlaces(t *testing.T) {
	tok := open(t, qwen3(t))
	for text, want := range map[string]int{
		"":                     0,
		"word":                 0, // what follows may go on with it
		"two words":            3,
		"a sentence. ":         10,
		"ends in <|im":         7, // not inside what may become <|im_end|>
		"ends in <|im_end|> x": 7, // nor inside what is one
		"résumé, e":            8,
		"e\u0301 x":            0, // a mark is no letter
		"日本語。":                 0, // only ASCII ends a part
		"日本語 x":                9,
		"1 2 3":                0,
		"it's":                 2,
	} {
		if got := tok.Cut(text); got != want {
			t.Errorf("Cut(%q) = %d, want %d", text, got, want)
		}
		for _, next := range []string{"", "s", "\u0301", "_end|>", "|>", " ", "\n\nx", "'s", "\u0338"} {
			checkCut(t, tok, text, next, false)
		}
	}
	// A file that splits in another way, or adds tokens around texts, is never cut.
	if small := open(t, smallCorpus(t).tokenizer); small.Cut("two words here") != 0 {
		t.Error("a tokenizer of another kind is cut")
	}
}

func FuzzCut(f *testing.F) {
	tok := open(f, qwen3(f))
	for _, seed := range [][2]string{{"two words", " more"}, {"a <|im", "_end|>"}, {"caf", "e\u0301"}, {"x\n\n ", "y"}, {"it's ", "\u017f"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, next string) {
		text, next = strings.ToValidUTF8(text, "?"), strings.ToValidUTF8(next, "?")
		checkCut(t, tok, text, next, false)
		checkCut(t, tok, text, next, true)
	})
}
