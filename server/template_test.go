package server

import (
	"encoding/json"
	"strings"
	"testing"

	"scored/prompt"
)

// TestTemplate: with a template a request of texts is answered as one that holds the
// rendered texts is without, by every dialect that scores texts as they are; others have
// templates of their own.
func TestTemplate(t *testing.T) {
	plain := newTestServer(t, nil)
	for _, c := range []struct {
		text      string
		rendered  func(text string) string // of a query or item
		itemFirst bool
	}{
		{"<q>{query}</q>{item}!", func(text string) string {
			return map[string]string{"Q {item}": "<q>Q {item}</q>", "I {query}": "I {query}!", "J": "J!"}[text]
		}, false},
		{"<i>{item}</i>{query}?", func(text string) string {
			return map[string]string{"Q {item}": "Q {item}?", "I {query}": "<i>I {query}</i>", "J": "<i>J</i>"}[text]
		}, true},
	} {
		template, err := prompt.Parse("test", c.text)
		if err != nil {
			t.Fatal(err)
		}
		s := newTestServer(t, func(cfg *Config, _ *Model) { cfg.Template = template })
		for _, path := range []string{"/v1/score", "/invocations"} {
			body := func(render func(string) string, itemFirst bool) string {
				text, err := json.Marshal(map[string]any{"model": "m", "query": render("Q {item}"), "items": []string{render("I {query}"), render("J")},
					"label_token_ids": []int{3, 5}, "item_first": itemFirst, "usage": true})
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			same := func(text string) string { return text }
			got, want := send(s, "POST", path, body(same, false)), send(plain, "POST", path, body(c.rendered, c.itemFirst))
			if got.Code != 200 || modelsPart(t, got.Body.String()) != modelsPart(t, want.Body.String()) {
				t.Errorf("%s at %s: %s, want %s", c.text, path, got.Body, want.Body)
			}
		}
	}
}

// TestTemplateLeavesRerank: dialects with a template of their own have that one alone.
func TestTemplateLeavesRerank(t *testing.T) {
	template, err := prompt.Open("qwen3", "")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(template *prompt.Template) string {
		s := newTestServer(t, func(cfg *Config, m *Model) { cfg.Template, m.Words = template, byteWords{} })
		w := send(s, "POST", "/v1/rerank", `{"query":"q","documents":["a","b"]}`, "X-Request-Id", "1")
		if w.Code != 200 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	if got, want := ask(template), ask(nil); got != want {
		t.Errorf("rerank with a template answers %s, want %s", got, want)
	}
}

// modelsPart is what an answer has of the model.
func modelsPart(t *testing.T, body string) string {
	t.Helper()
	var answer struct{ Scores, Usage json.RawMessage }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return string(answer.Scores) + string(answer.Usage)
}

// TestTemplateRefuses: what a template cannot do is a 400 that names the field.
func TestTemplateRefuses(t *testing.T) {
	template, err := prompt.Open("qwen3", "You are terse.")
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, func(cfg *Config, _ *Model) { cfg.Template = template })
	for _, c := range []struct{ fields, param, want string }{
		{`"query":[1,2],"items":[[3]]`, "query", "query is token ids, which the server's template cannot take"},
		{`"query":"q","items":[[3]]`, "items[0]", "items[0] is token ids, which"},
		{`"query":"q","items":["a"],"item_first":true`, "item_first", "item_first is true, but the server's template says"},
		{`"query":"q","items":["a"],"truncate":true`, "truncate", "truncate would cut off the end"},
		{`"query":"q","items":["a"],"split_special_tokens":true`, "split_special_tokens", "split_special_tokens would take"},
	} {
		w := send(s, "POST", "/v1/score", `{"model":"m","label_token_ids":[3],`+c.fields+`}`)
		if w.Code != 400 || w.Header().Get("X-Scored-Error-Param") != c.param || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, field %q", c.fields, w.Code, w.Body, w.Header().Get("X-Scored-Error-Param"))
		}
	}
	if w := send(s, "POST", "/generative_scoring", `{"query":[1],"items":[[3]],"label_token_ids":[3]}`); w.Code != 400 || !strings.Contains(w.Body.String(), "template") {
		t.Errorf("generative scoring of ids: %d %s", w.Code, w.Body)
	}
	if w := send(s, "POST", "/v1/score", `{"model":"m","label_token_ids":[3],"query":"q","items":[]}`); w.Code != 200 {
		t.Errorf("no items: %d %s", w.Code, w.Body)
	}
}

// beginning is an Encoder that puts a token before every text, and reads the same token
// where the text spells it.
type beginning struct{ fakeWords }

func (beginning) Encode(text string, plain bool) ([]int32, error) {
	ids := []int32{9}
	if rest, spelled := strings.CutPrefix(text, "<|begin_of_text|>"); spelled {
		ids, text = append(ids, 9), rest
	}
	more, err := fakeEncoder{}.Encode(text, plain)
	return append(ids, more...), err
}

// TestTemplateBegin: a tokenizer that begins every text by itself gets no second
// beginning from the template.
func TestTemplateBegin(t *testing.T) {
	template, err := prompt.Open("llama3", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words Words
		want  string
	}{
		{beginning{}, "<|start_header_id|>user<|end_header_id|>\n\n"},
		{fakeWords{}, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"},
		{nil, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"},
	} {
		if got := fitTemplate(template, c.words).Begin(); got != c.want {
			t.Errorf("the template begins with %q, want %q", got, c.want)
		}
	}
	if fitTemplate(nil, beginning{}) != nil {
		t.Error("no template becomes one")
	}
}
