package score

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"scored/score/plan"
	"scored/score/scoretest"
)

// wordEncoder makes a token of every word, its ids the words' lengths, and may be cut
// before a blank.
type wordEncoder struct{ bytes *atomic.Int64 }

func (e wordEncoder) Encode(text string, _ bool) ([]int32, error) {
	e.bytes.Add(int64(len(text)))
	var ids []int32
	for _, word := range strings.Fields(text) {
		ids = append(ids, int32(len(word)))
	}
	return ids, nil
}

func (wordEncoder) Lead() int { return 0 }

func (wordEncoder) Cut(text string) int { return max(strings.LastIndexByte(text, ' '), 0) }

func (wordEncoder) CutFront(text string) int { return max(strings.IndexByte(text, ' '), 0) }

// Least takes words to have ten letters at most.
func (wordEncoder) Least(text string) int { return len(text) / 11 }

// tokenize makes the prompts of a request as Score does.
func tokenize(t *testing.T, cfg Config, encoder Encoder, req *Request) (prompts [][]int32, reusable int, result *Result, err error) {
	t.Helper()
	cfg = cfg.withDefaults()
	ladder, err := plan.NewLadder(testBuckets(), 256)
	if err != nil {
		t.Fatal(err)
	}
	p, q := newPrompter(&cfg, encoder), newQueue(&cfg, ladder)
	reserved, err := q.admit(req, &columns{})
	if err != nil {
		t.Fatal(err)
	}
	result = &Result{}
	prompts, reusable, err = p.prompts(t.Context(), req, result, reserved)
	reserved.release()
	if held := &q.admission; held.tokens.Load() != 0 || held.rows != 0 || p.gate.inside != 0 {
		t.Errorf("%d tokens, %d rows and %d bytes are held after the release", held.tokens.Load(), held.rows, p.gate.inside)
	}
	return prompts, reusable, result, err
}

// TestQueryIsTokenizedOnce: the same ids as of whole prompts, and the query's text is
// read once for all items, wherever it stands.
func TestQueryIsTokenizedOnce(t *testing.T) {
	read := &atomic.Int64{}
	encoder := wordEncoder{read}
	query := "qu " + strings.Repeat("long ", 1000) + "que"
	req := &Request{Query: Part{Text: query}}
	for _, item := range []string{"ry", " x", "", "ry and more"} {
		req.Items = append(req.Items, Part{Text: item})
	}
	for _, itemFirst := range []bool{false, true} {
		req.ItemFirst = itemFirst
		read.Store(0)
		prompts, reusable, _, err := tokenize(t, Config{Encoders: 2, ContextLength: 2000}, encoder, req)
		if err != nil {
			t.Fatal(err)
		}
		if most := int64(len(query) + 100); read.Load() > most {
			t.Errorf("%d bytes tokenized, want at most %d", read.Load(), most)
		}
		if want := map[bool]int{false: 1001, true: 0}[itemFirst]; reusable != want {
			t.Errorf("reusable has %d tokens, want the %d that no item can change", reusable, want)
		}
		for i, item := range req.Items {
			first, second := order(req, query, item.Text)
			want, _ := encoder.Encode(first+second, false)
			if !slices.Equal(prompts[i], want) {
				t.Errorf("item %d has ids %v, want %v", i, prompts[i], want)
			}
		}
	}
}

// TestTextsFarTooLong are refused before they are tokenized, or cut without reading the
// rest of them.
func TestTextsFarTooLong(t *testing.T) {
	const far = 40 * pieceBytes
	read := &atomic.Int64{}
	encoder := wordEncoder{read}
	cfg := Config{Encoders: 1, ContextLength: 100}
	for name, req := range map[string]*Request{
		"item":       {Query: Part{Text: "q"}, Items: []Part{{Text: "fine"}, {Text: strings.Repeat("x", 3000)}}},
		"query":      {Query: Part{Text: strings.Repeat("long ", 1000)}, Items: []Part{{Text: "x"}}},
		"item first": {Query: Part{Text: strings.Repeat("long ", 1000)}, Items: []Part{{Text: "x"}}, ItemFirst: true},
	} {
		read.Store(0)
		_, _, _, err := tokenize(t, cfg, encoder, req)
		if err == nil || !strings.Contains(err.Error(), " is too long: its prompt is at least ") || read.Load() > 100 {
			t.Errorf("%s: error %v, %d bytes were tokenized", name, err, read.Load())
		}
		req.Partial = true
		if prompts, _, result, err := tokenize(t, cfg, encoder, req); err != nil || result.ItemErrors[len(req.Items)-1] == nil || prompts[len(req.Items)-1] != nil {
			t.Errorf("%s, partial: %v, %v, %v", name, prompts, result.ItemErrors, err)
		}
	}
	for name, req := range map[string]*Request{
		"item":       {Query: Part{Text: "q "}, Items: []Part{{Text: "fine"}, {Text: strings.Repeat("long ", far)}}},
		"query":      {Query: Part{Text: strings.Repeat("long ", far)}, Items: []Part{{Text: "x"}, {Text: "x"}}},
		"item first": {Query: Part{Text: strings.Repeat("long ", far)}, Items: []Part{{Text: "x"}, {Text: "x"}}, ItemFirst: true},
	} {
		req.Truncate = true
		read.Store(0)
		prompts, _, result, err := tokenize(t, cfg, encoder, req)
		if err != nil || len(prompts[1]) != MaxInput(100) || !slices.Contains(result.Truncated, 1) || read.Load() > 2*pieceBytes {
			t.Errorf("%s, truncated: %d tokens, cut %v, error %v, %d bytes were tokenized", name, len(prompts[1]), result.Truncated, err, read.Load())
		}
	}
}

// TestTextWithoutPlaces: a text that cannot be cut is tokenized whole up to a bound that
// the context sets, truncated or not.
func TestTextWithoutPlaces(t *testing.T) {
	read := &atomic.Int64{}
	const without = " bytes of text without a place to cut it"
	for _, c := range []struct {
		context, bytes int
		char           string
		want           string
	}{
		{100, minUncut, "x", ""},
		{100, minUncut + 1, "x", "items[1] has more than 262144" + without},
		{100, 30 * minUncut, "x", "items[1] has more than 262144" + without},
		{minUncut / 4, 2 * minUncut, "x", ""},
		{minUncut / 4, 2*minUncut + 1, "x", "items[1] has more than 524288" + without},
		{1 << 20, maxUncut, "x", ""},
		{1 << 20, maxUncut + 1, "x", "items[1] has more than 1048576" + without},
		{100, minUncut / 6, "\x00", ""},
		{100, minUncut/6 + 2, "\x00", "items[1] has 43691 NUL characters"},
		{100, 30 * minUncut, "\x00", "items[1] has more than 262144" + without},
	} {
		read.Store(0)
		// The prompt is the query's byte and the item's.
		req := &Request{Query: Part{Text: "q"}, Items: []Part{{Text: " "}, {Text: strings.Repeat(c.char, c.bytes)[1:]}}, Truncate: true}
		_, _, _, err := tokenize(t, Config{Encoders: 1, ContextLength: c.context}, blindEncoder{wordEncoder{read}}, req)
		switch {
		case c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%d bytes, context of %d: error %v, want %q", c.bytes, c.context, err, c.want)
		case c.want != "" && read.Load() > 10:
			t.Errorf("%d bytes, context of %d: %d bytes were tokenized of a text that is refused", c.bytes, c.context, read.Load())
		}
	}
}

// TestQueryIsReadAgain: a query that cannot be cut is not tokenized with each of too many
// items. An encoder that knows no place in any text may read more.
func TestQueryIsReadAgain(t *testing.T) {
	read := &atomic.Int64{}
	const query = 8 << 10
	for _, c := range []struct {
		encoder Encoder
		items   int
		refused bool
	}{
		{wordEncoder{read}, retokenizedBytes / query, false},
		{wordEncoder{read}, retokenizedBytes/query + 2, true},
		{blindEncoder{wordEncoder{read}}, retokenizedBlind / query, false},
		{blindEncoder{wordEncoder{read}}, retokenizedBlind/query + 10, true},
	} {
		read.Store(0)
		req := &Request{Query: Part{Text: strings.Repeat("x", query)}, Items: make([]Part, c.items)}
		_, _, _, err := tokenize(t, Config{Encoders: 1, ContextLength: 1 << 20}, c.encoder, req)
		if c.refused != (err != nil) || c.refused != (read.Load() == 0) {
			t.Errorf("%T, %d items: error %v after %d bytes", c.encoder, c.items, err, read.Load())
		}
		if want := "query must be tokenized with each of "; err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %q, want it to begin with %q", err, want)
		}
	}
}

// TestManyItemsOfALetter: what must be read again of an ordinary query is within the
// bound, however many items there are.
func TestManyItemsOfALetter(t *testing.T) {
	items := make([]Part, 1<<16)
	for i := range items {
		items[i].Text = "a"
	}
	for _, itemFirst := range []bool{false, true} {
		req := &Request{Query: Part{Text: "an_ordinary_query_begins_and ends_with_a_word_of_some_letters:"}, Items: items, ItemFirst: itemFirst}
		if _, _, _, err := tokenize(t, Config{ContextLength: 100}, wordEncoder{&atomic.Int64{}}, req); err != nil {
			t.Errorf("item first %t: %v", itemFirst, err)
		}
	}
}

// leadEncoder puts two tokens before every text.
type leadEncoder struct{ wordEncoder }

func (leadEncoder) Lead() int { return 2 }

func (e leadEncoder) Encode(text string, plain bool) ([]int32, error) {
	ids, err := e.wordEncoder.Encode(text, plain)
	return append([]int32{71, 72}, ids...), err
}

// TestLeadStandsOnce: what an encoder puts before every text stands at a prompt's
// beginning alone, however the prompt's text is cut, and not behind a template's.
func TestLeadStandsOnce(t *testing.T) {
	encoder := leadEncoder{wordEncoder{&atomic.Int64{}}}
	long := strings.Repeat("long ", pieceBytes/4)
	cfg := Config{Encoders: 2, ContextLength: 1 << 16}
	for _, query := range []string{"", "q", "a query", long} {
		for _, item := range []string{" item", " an item", " " + long} {
			for _, req := range []*Request{{}, {ItemFirst: true}, {Template: &Template{Before: []int32{5}, After: []int32{6}}}} {
				req.Query.Text, req.Items = query, []Part{{Text: item}}
				prompts, _, _, err := tokenize(t, cfg, encoder, req)
				if err != nil {
					t.Fatal(err)
				}
				first, second := order(req, query, item)
				want, _ := encoder.Encode(first+second, false)
				if req.Template != nil {
					want = slices.Concat([]int32{5}, want[2:], []int32{6})
				}
				if !slices.Equal(prompts[0], want) {
					t.Errorf("query of %d bytes, item of %d, item first %t, template %t: %d ids, want %d", len(query), len(item), req.ItemFirst, req.Template != nil, len(prompts[0]), len(want))
				}
			}
		}
	}
}

// blindEncoder knows no place to cut a text, and no bound of its tokens.
type blindEncoder struct{ wordEncoder }

func (blindEncoder) Cut(string) int      { return 0 }
func (blindEncoder) CutFront(string) int { return 0 }
func (blindEncoder) Least(string) int    { return 0 }

// TestFirstFailureEndsTheWork: items behind one that fails are not tokenized.
func TestFirstFailureEndsTheWork(t *testing.T) {
	read := &atomic.Int64{}
	req := &Request{Query: Part{Text: "q "}, Items: []Part{{Text: strings.Repeat("x ", 100)}}}
	for range 1000 {
		req.Items = append(req.Items, Part{Text: strings.Repeat("x ", 10)})
	}
	_, _, _, err := tokenize(t, Config{Encoders: 1, ContextLength: 100}, wordEncoder{read}, req)
	if err == nil || !strings.HasPrefix(err.Error(), "items[0] is too long: its prompt is 101 tokens of at most 93") || read.Load() > 1000 {
		t.Errorf("error %v, %d bytes were tokenized", err, read.Load())
	}
}

// TestTokensAreCountedAsTheyCome: prompts are not made beyond the bound of tokens, in
// texts as in ids, and texts are not tokenized either. The bound is the request's, so a
// partial answer does not go on beyond it.
func TestTokensAreCountedAsTheyCome(t *testing.T) {
	read := &atomic.Int64{}
	cfg := Config{Encoders: 1, ContextLength: 100, MaxTokens: 1000}
	texts := &Request{Query: Part{Text: strings.Repeat("x ", 50)}, Items: slices.Repeat([]Part{{Text: "x x"}}, 500)}
	partial := *texts
	partial.Partial = true
	query := make([]int64, 50)
	tokens := &Request{Query: Part{IsTokens: true, Tokens: query}, Items: slices.Repeat([]Part{{IsTokens: true}}, 500)}
	for _, req := range []*Request{texts, &partial, tokens} {
		read.Store(0)
		prompts, _, _, err := tokenize(t, cfg, wordEncoder{read}, req)
		wantKind(t, err, TooLarge)
		made := 0
		for _, prompt := range prompts {
			made += len(prompt)
		}
		if made > 1000 {
			t.Errorf("%d tokens of prompts were made, 1,000 are allowed", made)
		}
		if read.Load() > 300 { // the query's 100 bytes, and five for each of some 20 prompts
			t.Errorf("%d bytes were tokenized", read.Load())
		}
	}
}

// faultyEncoder panics at "!", or at "#" where it counts, and fails at "?".
type faultyEncoder struct{ wordEncoder }

func (e faultyEncoder) Encode(text string, plain bool) ([]int32, error) {
	if strings.Contains(text, "?") {
		return nil, errors.New("out of order")
	}
	if strings.Contains(text, "!") {
		panic("broken table")
	}
	return e.wordEncoder.Encode(text, plain)
}

func (e faultyEncoder) Least(text string) int {
	if strings.Contains(text, "#") {
		panic("broken table")
	}
	return e.wordEncoder.Least(text)
}

// TestFaultyEncoder: what the Encoder does wrong is our fault, not the text's, and fails
// one request alone, partial or not.
func TestFaultyEncoder(t *testing.T) {
	encoder := faultyEncoder{wordEncoder{&atomic.Int64{}}}
	s, err := New(Config{Vocab: 1000, ContextLength: 256}, encoder, &scoretest.Fake{Shapes: testBuckets()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(query, item string, partial bool) error {
		req := &Request{Query: Part{Text: query}, Items: []Part{{Text: "a"}, {Text: item}}, Labels: []Label{{ID: 1}}, Partial: partial}
		_, err := s.Score(t.Context(), req)
		return err
	}
	for name, c := range map[string]struct{ query, item, cause string }{
		"panic in an item's tokens":   {"q ", "b!", "faultyEncoder.Encode"},
		"panic in the query's tokens": {"q! q q", "b", "faultyEncoder.Encode"},
		"panic in an item's bound":    {"q ", "b#", "faultyEncoder.Least"},
		"panic in the query's bound":  {"#", "b", "faultyEncoder.Least"},
		"failure":                     {"q ", "b?", "out of order"},
	} {
		for _, partial := range []bool{false, true} {
			err := ask(c.query, c.item, partial)
			wantKind(t, err, Internal)
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("%s: error %v does not hold %q", name, err, c.cause)
			}
			if err := ask("q ", "b", partial); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
		}
	}
	held := &s.queue.admission
	if load := s.Load(); load.Requests != 0 || held.rows != 0 || held.tokens.Load() != 0 || s.prompter.gate.inside != 0 {
		t.Errorf("load %+v, %d rows, %d tokens and %d bytes after the last answer", load, held.rows, held.tokens.Load(), s.prompter.gate.inside)
	}
}

// cutEncoder counts how often it is asked where a text may be cut.
type cutEncoder struct {
	wordEncoder
	asked *atomic.Int64
}

func (e cutEncoder) Cut(text string) int {
	e.asked.Add(1)
	return e.wordEncoder.Cut(text)
}

// TestEncoderIsAskedOnceWhetherItCuts: each request asks for places in its own texts
// alone.
func TestEncoderIsAskedOnceWhetherItCuts(t *testing.T) {
	encoder := cutEncoder{wordEncoder{&atomic.Int64{}}, &atomic.Int64{}}
	s, err := New(Config{Vocab: 1000, ContextLength: 256}, encoder, &scoretest.Fake{Shapes: testBuckets()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	encoder.asked.Store(0)
	for range 5 {
		req := &Request{Query: Part{Text: "a query"}, Items: []Part{{Text: " an item"}}, Labels: []Label{{ID: 1}}}
		if _, err := s.Score(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if n := encoder.asked.Load(); n != 5 {
		t.Errorf("5 requests of one query each ask for %d places, want 5", n)
	}
}
