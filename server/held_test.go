package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

func TestReadAll(t *testing.T) {
	for _, n := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 3 * firstPiece, lastPiece * 3} {
		want := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
		h := &holding{of: &held{}}
		got, err := h.readAll(bytes.NewReader(want))
		if err != nil || !bytes.Equal(got, want) || h.of.bytes.Load() < int64(n) {
			t.Errorf("%d bytes: %d read, %d held, error %v", n, len(got), h.of.bytes.Load(), err)
		}
		if h.release(); h.of.bytes.Load() != 0 {
			t.Errorf("%d bytes: %d held after the release", n, h.of.bytes.Load())
		}
	}
	h := &holding{of: &held{}}
	if _, err := h.readAll(io.MultiReader(strings.NewReader("some"), brokenReader{})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want the reader's", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestHeldBytes: others' bodies leave a request no room, but one alone always has it;
// what was held is given back.
func TestHeldBytes(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.MaxHeld, c.MaxBody = 100_000, 1<<20 })
	big := base + `,"label_token_ids":[1],"pad":"` + strings.Repeat("x", 500_000) + `"}`
	if w := send(s, "POST", "/v1/score", big); w.Code != http.StatusOK {
		t.Errorf("alone: status %d: %s", w.Code, w.Body)
	}
	s.bodies.held.bytes.Add(90_000) // another's
	w := send(s, "POST", "/v1/score", big)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "bytes of requests, 100000 at most") {
		t.Errorf("beside another: status %d: %s", w.Code, w.Body)
	}
	zipped := zip(t, strings.NewReader(big))
	if w := send(s, "POST", "/v1/score", zipped, "Content-Encoding", "gzip"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("zipped, beside another: status %d: %s", w.Code, w.Body)
	}
	s.bodies.held.bytes.Add(100_000) // and one more
	for name, w := range map[string]*httptest.ResponseRecorder{
		"small":  send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`),
		"zipped": send(s, "POST", "/v1/score", zip(t, strings.NewReader(base+`,"label_token_ids":[1]}`)), "Content-Encoding", "gzip"),
	} {
		if w.Code != http.StatusOK {
			t.Errorf("%s, beside others: status %d: %s", name, w.Code, w.Body)
		}
	}
	if n := s.bodies.held.bytes.Load(); n != 190_000 {
		t.Errorf("%d bytes are held after the answers, want the others' 190,000", n)
	}
}

// TestValuesTakeMemory: a body within its bytes whose values would take far more memory
// is refused, and names its field.
func TestValuesTakeMemory(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.MaxBody = 64 << 20 })
	for name, c := range map[string]struct{ body, param string }{
		"ids":     {`{"query":[1` + strings.Repeat(",1", 9<<20) + `]}`, "query"},
		"items":   {`{"query":"q","items":["a"` + strings.Repeat(`,"a"`, 3<<20) + `]}`, "items"},
		"lists":   {`{"items":[[]` + strings.Repeat(`,[]`, 3<<20) + `]}`, "items"},
		"objects": {`{"query":1,"x":[{}` + strings.Repeat(`,{}`, 3<<20) + `]}`, "x"},
		"outside": {`[1` + strings.Repeat(",1", 9<<20) + `]`, ""},
	} {
		w := send(s, "POST", "/v1/score", c.body)
		if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("X-Scored-Error-Param") != c.param {
			t.Errorf("%s: status %d, field %q: %.200s", name, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
		}
	}
}

// TestIntegersForTexts: where texts are wanted, a list of integers costs no more memory
// than itself.
func TestIntegersForTexts(t *testing.T) {
	ints := make(python.Ints, 5_000_000)
	var list []python.Value
	if taken := testing.AllocsPerRun(1, func() { list, _ = sglang.ListOf(ints) }); taken > 2*sglang.MaxFaults || len(list) != sglang.MaxFaults {
		t.Errorf("%d of them are taken out, in %.0f allocations", len(list), taken)
	}
}

// TestLabelTexts: distinct ones are bounded before they are tokenized, repeated ones are
// tokenized once.
func TestLabelTexts(t *testing.T) {
	scorer, err := score.New(score.Config{Vocab: 1000, ContextLength: testContext, MaxLabels: 3}, fakeEncoder{}, fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	words := &countingWords{}
	s := newTestServer(t, func(_ *Config, m *Model) { m.Scorer, m.Words = scorer, words })
	ask := func(labels string) *httptest.ResponseRecorder {
		words.single = 0
		return send(s, "POST", "/v1/score", `{"model":"m","query":"q","items":["a"],"labels":`+labels+`}`)
	}
	if w := ask(`["a","b","a","c","a"]`); w.Code != http.StatusOK || words.single != 3 {
		t.Errorf("status %d, %d texts tokenized: %s", w.Code, words.single, w.Body)
	}
	if w := ask(`["a","` + strings.Repeat("x", longestLabel+1) + `"]`); w.Code != http.StatusBadRequest || w.Header().Get("X-Scored-Error-Param") != "labels[1]" || words.single != 1 {
		t.Errorf("status %d, %d texts tokenized: %.200s", w.Code, words.single, w.Body)
	}
	if w := ask(`["a","b","c","d","e"]`); w.Code != http.StatusBadRequest || w.Header().Get("X-Scored-Error-Param") != "labels" || words.single != 3 {
		t.Errorf("status %d, %d texts tokenized: %s", w.Code, words.single, w.Body)
	}
}

type countingWords struct {
	fakeWords
	single int
}

func (w *countingWords) Single(text string) (int32, error) {
	w.single++
	return w.fakeWords.Single(text)
}
