package score

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// wordEncoder makes a token of every word, its ids the words' lengths, and may be cut before a blank.
type wordEncoder struct{ bytes *atomic.Int64 }

func (e wordEncoder) Encode(text string, _ bool) ([]int32, error) {
	e.bytes.Add(int64(len(text)))
	var ids []int32
	for _, word := range strings.Fields(text) {
		ids = append(ids, int32(len(word)))
	}
	return ids, nil
}

func (wordEncoder) Cut(text string) int { return max(strings.LastIndexByte(text, ' '), 0) }

// TestQueryIsTokenizedOnce: the same ids as of whole prompts, and the query's text is read once for all items.
func TestQueryIsTokenizedOnce(t *testing.T) {
	read := &atomic.Int64{}
	s := &Scorer{cfg: Config{Encoders: 2}, encoder: wordEncoder{read}}
	query := strings.Repeat("long ", 1000) + "que"
	req := &Request{Query: Part{Text: query}}
	for _, item := range []string{"ry", " x", "", "ry and more"} {
		req.Items = append(req.Items, Part{Text: item})
	}
	prompts, head, err := s.encode(t.Context(), req, &Result{})
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(len(query) + 100); read.Load() > most {
		t.Errorf("%d bytes tokenized, want at most %d", read.Load(), most)
	}
	if head != 1000 {
		t.Errorf("head has %d tokens, want the 1000 that no item can change", head)
	}
	for i, item := range req.Items {
		want, _ := s.encoder.Encode(query+item.Text, false)
		if !slices.Equal(prompts[i], want) {
			t.Errorf("item %d ends in ids %v, want %v", i, prompts[i][995:], want[995:])
		}
	}
	req.ItemFirst = true
	if prompts, head, _ = s.encode(t.Context(), req, &Result{}); head != 0 || len(prompts[3]) != 1003 {
		t.Errorf("item first: head %d, %d tokens", head, len(prompts[3]))
	}
}

// TestTextsFarTooLong are refused before they are tokenized.
func TestTextsFarTooLong(t *testing.T) {
	read := &atomic.Int64{}
	s := &Scorer{cfg: Config{Encoders: 1, ContextLength: 100, TokenBytes: 10}, encoder: wordEncoder{read}}
	req := &Request{Query: Part{Text: "q"}, Items: []Part{{Text: "fine"}, {Text: strings.Repeat("x", 3000)}}}
	_, _, err := s.encode(t.Context(), req, &Result{})
	if err == nil || !strings.HasPrefix(err.Error(), "The input (at least 100 tokens) is longer than the model's context length (100 tokens).") {
		t.Errorf("error %v", err)
	}
	if read.Load() > 100 {
		t.Errorf("%d bytes were tokenized", read.Load())
	}
	far := &Request{Query: Part{Text: strings.Repeat("long ", 1000)}, Items: []Part{{Text: "x"}}}
	if _, _, err := s.encode(t.Context(), far, &Result{}); err == nil || read.Load() > 100 {
		t.Errorf("query far too long: error %v, %d bytes were tokenized", err, read.Load())
	}
	req.Partial = true
	result := &Result{}
	if prompts, _, err := s.encode(t.Context(), req, result); err != nil || prompts[0] == nil || result.ItemErrors[1] == nil {
		t.Errorf("partial: %v, %v, %v", prompts, result.ItemErrors, err)
	}
	req.Truncate = true
	if prompts, _, err := s.encode(t.Context(), req, &Result{}); err != nil || prompts[1] == nil {
		t.Errorf("truncated: %v", err)
	}
}
