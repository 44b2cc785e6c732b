package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"scored/score"
	"scored/sglang"
)

// hostile makes bodies that mean harm, or nothing: wrong types, sizes, nesting, text and
// numbers at every place.
type hostile struct{ *rand.Rand }

func pick[T any](h hostile, all ...T) T { return all[h.IntN(len(all))] }

func (h hostile) value(depth int) string {
	switch n := h.IntN(12); {
	case n < 3 || depth > 4:
		return pick(h, "null", "true", "0", "-1", "1.0", "1.5", "1e3", "-0", "NaN", "-Infinity", "1e400", "9223372036854775808", "151668", "151669", strings.Repeat("9", h.IntN(5000)+1))
	case n < 7:
		return h.text()
	case n < 11:
		items := make([]string, h.IntN(5))
		for i := range items {
			items[i] = h.value(depth + 1)
		}
		return "[" + strings.Join(items, ",") + "]"
	default:
		return `{` + h.text() + `:` + h.value(depth+1) + `}`
	}
}

func (h hostile) text() string {
	raw := pick(h, "", "a", "7", " 7\u00a0", "\u200d\u0301", "\U0010ffff", "<|im_end|>", strings.Repeat("x", h.IntN(4000)), strings.Repeat("é", h.IntN(900)), "\x00", "true")
	data, _ := json.Marshal(raw) // valid text always encodes
	return pick(h, string(data), string(data), `"\ud800"`, `"\udfff\ud800"`, "\"\xff\"", "\"\xc3\x28\"", "\"\t\"", `"\u00"`)
}

func (h hostile) body(path string) string {
	var parts []string
	fields := []string{"query", "items", "label_token_ids", "apply_softmax", "item_first", "model", "labels", "return_logprobs", "usage", "truncate", "partial", "split_special_tokens", "cache_salt", "temperature"}
	if path == "/v1/rerank" {
		fields = []string{"query", "documents", "rank_fields", "model", "instruction", "chat_template_kwargs", "use_activation", "max_tokens_per_doc", "truncate_prompt_tokens", "truncation", "truncation_side", "top_n"}
	}
	for _, field := range fields {
		right := map[string]string{"query": `"q"`, "items": pick(h, `["a","b"]`, `[]`, `"a"`), "label_token_ids": `[1,2]`, "model": `"m"`, "labels": `["a"]`,
			"documents": pick(h, `["a",{"text":"b"}]`, `[{"a":"b","c":`+h.value(0)+`}]`, `{"a":`+h.text()+`}`), "rank_fields": pick(h, `[]`, `["a"]`, `["c","a"]`)}[field]
		switch n := h.IntN(16); {
		case n == 0:
			parts = append(parts, `"`+field+`":`+h.value(0))
		case n < 14 && right != "":
			parts = append(parts, `"`+field+`":`+right)
		}
	}
	body := "{" + strings.Join(parts, pick(h, ",", ", ", ",,")) + "}"
	switch h.IntN(12) {
	case 0:
		at := h.IntN(len(body))
		body = body[:at] + pick(h, "", "\x00", "}", `"`, "\xff", "/*") + body[at+h.IntN(len(body)-at):]
	case 1:
		depth := h.IntN(200_000)
		body = strings.Repeat(pick(h, "[", `{"a":`, `{"query":[`), depth)
	case 2:
		body = h.value(0)
	}
	return body
}

// TestHostileBodies: 4xx or 200, the same twice, nobody else is harmed, and nothing is
// left behind.
func TestHostileBodies(t *testing.T) {
	s := newTestServer(t, nil)
	h := hostile{rand.New(rand.NewPCG(7, 7))}
	send(s, "POST", "/v1/score", fields(two))
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	statuses := map[int]int{}
	for n := range 2000 {
		path := pick(h, "/v1/score", "/v1/score", "/v1/score", "/v1/rerank")
		body, contentType := h.body(path), pick(h, "application/json", "application/json", "application/json; charset=\xff", "text/plain", "")
		first := send(s, "POST", path, body, "Content-Type", contentType)
		second := send(s, "POST", path, body, "Content-Type", contentType)
		if first.Code >= 500 || first.Code < 200 || !json.Valid(first.Body.Bytes()) {
			t.Fatalf("%s %.300q gives %d: %.300s", path, body, first.Code, first.Body)
		}
		if first.Code != second.Code || path == "/v1/score" && first.Body.String() != second.Body.String() {
			t.Fatalf("%.300q gives\n%.300s\nand then\n%.300s", body, first.Body, second.Body)
		}
		statuses[first.Code]++
		if n%20 == 0 {
			if w := send(s, "POST", "/v1/score", fields(two)); w.Code != 200 {
				t.Fatalf("a good request after %.300q gets %d", body, w.Code)
			}
		}
	}
	if statuses[200] < 20 || statuses[400] < 500 {
		t.Errorf("statuses %v: the bodies reach too little", statuses)
	}
}

// TestManyFaults: of a list of bad items the first MaxFaults are told, in every branch of
// a union, and the answer stays small.
func TestManyFaults(t *testing.T) {
	s := newTestServer(t, nil)
	for name, test := range map[string]struct {
		body  string
		lists int
	}{
		"numbers as items": {`{"model":"m","items":[` + strings.Repeat("1,", 2*sglang.MaxFaults) + `1]}`, 2},
		"texts in items":   {`{"model":"m","items":[["7"],[` + strings.Repeat(`"",`, 2*sglang.MaxFaults) + `""]]}`, 1},
		"null labels":      {`{"model":"m","label_token_ids":[` + strings.Repeat("null,", 2*sglang.MaxFaults) + `1]}`, 1},
		"numbers as texts": {`{"model":"m","labels":[` + strings.Repeat("1,", 2*sglang.MaxFaults) + `1]}`, 1},
	} {
		w := send(s, "POST", "/v1/score", test.body)
		got := strings.Count(w.Body.String(), "'type': ")
		if w.Code != 400 || got < test.lists*sglang.MaxFaults || got > test.lists*sglang.MaxFaults+3 || w.Body.Len() > 5<<20 {
			t.Errorf("%s: status %d, %d faults, %d bytes; want %d faults for each of %d lists", name, w.Code, got, w.Body.Len(), sglang.MaxFaults, test.lists)
		}
	}
}

// TestRepeatedInputs: faults repeat the values at fault whole, as sglang-jax does, up to
// sglang.MaxInputs in all.
func TestRepeatedInputs(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.MaxBody = 64 << 20 })
	long := `"` + strings.Repeat("\x7f", sglang.MaxInputs) + `"`
	for name, body := range map[string]string{
		"no model":          `{"query":` + long + `}`,
		"in every branch":   `{"model":"m","query":{"a":` + long + `},"items":[` + long + `,1]}`,
		"one after another": `{"model":"m","items":[` + strings.Repeat(`["`+strings.Repeat("x", 4000)+`"],`, 5000) + `1]}`,
		"long numbers":      `{"model":"m","items":[` + strings.Repeat(strings.Repeat("9", 4000)+",", 5000) + `1]}`,
	} {
		w := send(s, "POST", "/v1/score", body)
		if w.Code != 400 || w.Body.Len() > 5*sglang.MaxInputs || !strings.Contains(w.Body.String(), "'input': ...") && strings.Count(w.Body.String(), "...") != 1 {
			t.Errorf("%s: status %d, %d bytes", name, w.Code, w.Body.Len())
		}
	}
	w := send(s, "POST", "/v1/score", `{"query":"`+strings.Repeat("x", sglang.MaxInputs/2)+`"}`)
	if want := "'input': {'query': '" + strings.Repeat("x", sglang.MaxInputs/2) + "'}}]"; w.Code != 400 || !strings.Contains(w.Body.String(), want) {
		t.Errorf("half of sglang.MaxInputs: status %d, %d bytes; want it whole", w.Code, w.Body.Len())
	}
}

// brokenEncoder panics at the byte "!" and fails at "?".
type brokenEncoder struct{ fakeEncoder }

func (e brokenEncoder) Encode(text string, plain bool) ([]int32, error) {
	if strings.Contains(text, "!") {
		panic("broken table")
	}
	if strings.Contains(text, "?") {
		return nil, errors.New("broken table")
	}
	return e.fakeEncoder.Encode(text, plain)
}

// TestBrokenTokenizer: what a tokenizer does wrong is answered as our fault, logged once
// with its cause, and the next request is served.
func TestBrokenTokenizer(t *testing.T) {
	var log strings.Builder
	s := newTestServer(t, func(c *Config, m *Model) {
		scorer, err := score.New(score.Config{Vocab: 151669, ContextLength: testContext}, brokenEncoder{}, fakeEngine{})
		if err != nil {
			t.Fatal(err)
		}
		m.Scorer, c.Logger = scorer, slog.New(slog.NewTextHandler(&log, nil))
	})
	body := func(item string) string {
		return `{"model":"m","query":"q","items":["a","` + item + `"],"label_token_ids":[1],"partial":true}`
	}
	for item, cause := range map[string]string{"!": "brokenEncoder.Encode", "?": "broken table"} {
		log.Reset()
		w := send(s, "POST", "/v1/score", body(item), "X-Request-Id", "r1")
		if w.Code != http.StatusInternalServerError || !strings.HasPrefix(w.Body.String(), `{"object":"error","message":"Internal server error: `) ||
			!strings.Contains(w.Body.String(), "(request r1)") || strings.Contains(w.Body.String(), "table") {
			t.Errorf("%q: status %d, %s", item, w.Code, w.Body)
		}
		if strings.Count(log.String(), "level=ERROR") != 1 || strings.Count(log.String(), cause) != 1 {
			t.Errorf("%q: log %q, want one error with %q", item, log.String(), cause)
		}
		if w := send(s, "POST", "/v1/score", body("b")); w.Code != http.StatusOK {
			t.Errorf("after %q: status %d, %s", item, w.Code, w.Body)
		}
	}
}
