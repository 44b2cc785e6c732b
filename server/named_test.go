package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestGenerativeRefuses: what is wrong is named by its field and index, and what this
// dialect has not by where it is.
func TestGenerativeRefuses(t *testing.T) {
	s := newTestServer(t, nil)
	const no = "label_token_ids must be a list of at least one token id"
	for fields, want := range map[string]struct{ param, message string }{
		`"query":"q","items":["a"]`:                                         {"label_token_ids", no},
		`"query":"q","items":["a"],"label_token_ids":5`:                     {"label_token_ids", no},
		`"query":"q","items":["a"],"label_token_ids":[]`:                    {"label_token_ids", no},
		`"query":"q","items":["a"],"labels":["Y"]`:                          {"label_token_ids", no + "; labels that are texts, or of several tokens, are for /v1/score"},
		`"query":"q","items":["a"],"label_tokens":[[1]]`:                    {"label_token_ids", no + "; labels that are texts, or of several tokens, are for /v1/score"},
		`"query":"q","items":["a"],"label_token_ids":[1,"a"]`:               {"label_token_ids[1]", "label_token_ids[1] is no token id. Input should be a valid integer, unable to parse string as an integer"},
		`"query":[1,"a"],"items":[[1]],"label_token_ids":[1]`:               {"query[1]", "query[1] is no token id. Input should be a valid integer, unable to parse string as an integer"},
		`"query":["a",1],"items":[[1]],"label_token_ids":[1]`:               {"query[0]", "query[0] is no token id. Input should be a valid integer, unable to parse string as an integer"},
		`"query":"q","items":["a","b",[1]],"label_token_ids":[1]`:           {"items[2]", "items[2] is not of the kind of items[0]; all must be texts, or all token ids"},
		`"query":[1],"items":[[1],["a"]],"label_token_ids":[1]`:             {"items[1][0]", "items[1][0] is no token id. Input should be a valid integer, unable to parse string as an integer"},
		`"query":[1],"items":[[1],7],"label_token_ids":[1]`:                 {"items[1]", "items[1] must be a text or a list of token ids"},
		`"query":"q","items":[[1]],"label_token_ids":[1]`:                   {"items[0]", "items[0] is not of the kind of query; all must be texts, or all token ids"},
		`"query":[1],"items":["a"],"label_token_ids":[1]`:                   {"items[0]", "items[0] is not of the kind of query; all must be texts, or all token ids"},
		`"query":[1],"items":[[9223372036854775808]],"label_token_ids":[1]`: {"items[0]", "items[0][0] (9223372036854775808) exceeds vocabulary size (151669)"},
	} {
		w := send(s, "POST", "/generative_scoring", `{`+fields+`}`)
		var got struct {
			Error struct{ Message, Param string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusBadRequest || got.Error.Message != want.message || got.Error.Param != want.param {
			t.Errorf("%s: %d %s\nwant %+v", fields, w.Code, w.Body, want)
		}
	}
}

// TestOneDocument: an error of a text that stands in no list names it so.
func TestOneDocument(t *testing.T) {
	s := newRerankServer(t, fakeEngine{})
	long := strings.Repeat("x", testContext)
	for _, c := range []struct{ path, body, param string }{
		{"/v1/rerank", `{"query":"q","documents":"` + long + `"}`, "documents"},
		{"/v1/rerank", `{"query":"q","documents":["` + long + `"]}`, "documents[0]"},
		{"/score", `{"text_1":"q","text_2":"` + long + `"}`, "text_2"},
		{"/score", `{"text_1":"q","text_2":["` + long + `"]}`, "text_2[0]"},
		{"/score", `{"text_1":"q","text_2":"\ud800"}`, "text_2"},
	} {
		w := send(s, "POST", c.path, c.body)
		if got := w.Header().Get("X-Scored-Error-Param"); w.Code != http.StatusBadRequest || got != c.param || !strings.Contains(w.Body.String(), c.param+" ") {
			t.Errorf("%s %.60s: %d of field %q, want %q: %.200s", c.path, c.body, w.Code, got, c.param, w.Body)
		}
	}
}

// TestPlainWords: what sglang-jax has sentences of its own for is told in them on its
// paths alone, and elsewhere by field.
func TestPlainWords(t *testing.T) {
	s := newTestServer(t, nil)
	long := strings.Repeat("x", testContext+1)
	for _, c := range []struct{ path, body, want string }{
		{"/v1/score", `{"model":"m","query":"","items":["a","` + long + `"],"label_token_ids":[1]}`, "longer than the model's context length (2048 tokens)."},
		{"/v1/score", `{"model":"m","query":"","items":["a","` + long + `"],"label_token_ids":[1],"partial":true}`, "longer than the model's context length (2048 tokens)."},
		{"/generative_scoring", `{"query":"","items":["a","` + long + `"],"label_token_ids":[1]}`, "items[1] is too long: its prompt is 2049 tokens of at most 2041. Use a shorter one."},
		{"/vertex", `{"instances":[{"model":"m","query":"","items":["a","` + long + `"],"label_token_ids":[1]}]}`, "instances[0].items[1] is too long: its prompt is 2049 tokens of at most 2041. Use a shorter one."},
		{"/v1/score", `{"model":"m","query":"","items":["a"],"label_token_ids":[1,151669]}`, "Token ID 151669 is out of vocabulary (vocab size: 151643)"},
		{"/generative_scoring", `{"query":"","items":["a"],"label_token_ids":[1,151669]}`, "label_token_ids[1] (151669) exceeds vocabulary size (151669)"},
	} {
		if w := send(s, "POST", c.path, c.body); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %.60s: %d %.300s, want %q", c.path, c.body, w.Code, w.Body, c.want)
		}
	}
}
