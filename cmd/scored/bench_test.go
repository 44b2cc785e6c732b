package main

import (
	"io"
	"strings"
	"testing"

	"scored/bench"
	"scored/tokenizer"
)

// TestWordsAreTokens: the lengths that bench promises hold for Qwen3's tokenizer.
func TestWordsAreTokens(t *testing.T) {
	words, err := tokenizer.Open("../../.cache/tokenizer/qwen3")
	if err != nil {
		t.Fatalf("%v; run `make setup`", err)
	}
	defer words.Close()
	for _, word := range bench.Words {
		if _, err := words.Single(" " + word); err != nil {
			t.Errorf("word %q: %v", word, err)
		}
	}
	ids, err := words.Encode(" "+strings.Join(bench.Words, " ")+". "+bench.Words[0]+".", false)
	if want := len(bench.Words) + 3; err != nil || len(ids) != want {
		t.Errorf("%d tokens, want %d: %v", len(ids), want, err)
	}
}

func TestBenchFlags(t *testing.T) {
	for _, line := range []string{"--workload w9", "--shape 1x2", "--shape 0x0x1", "--prompts x", "word", "--labels a", "--rate x"} {
		if status := run(t.Context(), append([]string{"bench"}, strings.Fields(line)...), environment(), io.Discard, io.Discard); status != 2 {
			t.Errorf("bench %s ends with status %d, want 2", line, status)
		}
	}
	if status := run(t.Context(), []string{"bench", "--url", "http://127.0.0.1:1", "--duration", "50ms"}, environment(), io.Discard, io.Discard); status != 1 {
		t.Errorf("bench of no server ends with status %d, want 1", status)
	}
}
