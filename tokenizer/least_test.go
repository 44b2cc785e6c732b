package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLeast: the bound holds for every text of the corpus, and for texts of long
// tokens, and is worth having.
func TestLeast(t *testing.T) {
	tok := open(t, qwen3(t))
	check := func(text string) (least, tokens int) {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		least = tok.Least(text)
		if least > len(ids) {
			t.Errorf("%.60q… has %d tokens, Least says %d", text, len(ids), least)
		}
		return least, len(ids)
	}
	for _, v := range qwen3Corpus(t).vectors {
		if text := v.text(); text != "" {
			check(text)
		}
	}
	for id := range tok.Vocab() {
		if text, ok := tok.Token(id); ok && len(text) > 30 {
			check(strings.NewReplacer("Ġ", " ", "Ċ", "\n", "ĉ", "\t").Replace(text))
		}
	}
	for _, text := range []string{" ", "=", "-", "\u1112\u1161\u11ab", "e\u0301", "<|im_end|>", "日本"} {
		check(strings.Repeat(text, 5000))
	}
	prose := strings.Repeat("It has been raining since the morning. ", 1000)
	if least, tokens := check(prose); least < tokens/40 {
		t.Errorf("Least says %d of %d tokens", least, tokens)
	}
}

// TestLeastOfOthers: where one token may stand for a text of any length, there is no
// bound.
func TestLeastOfOthers(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(smallCorpus(t).tokenizer, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		field, value string
		letters      int
	}{
		"no added ones": {"added_tokens", `[]`, 999},
		"lower case":    {"normalizer", `{"type":"Lowercase"}`, 0},
		"no byte level": {"pre_tokenizer", `{"type":"Whitespace"}`, 0},
		"strips":        {"added_tokens", `[{"id":7,"content":"<s>","rstrip":true}]`, 0},
	} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		fields[c.field] = json.RawMessage(c.value)
		altered, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		tok := &Tokenizer{file: &file{}}
		if err := tok.file.parse(altered); err != nil {
			t.Fatal(name, err)
		}
		if n := tok.Least(strings.Repeat("\x01", 1000)); n != c.letters {
			t.Errorf("%s: Least says %d of 1,000 characters, want %d", name, n, c.letters)
		}
	}
}
