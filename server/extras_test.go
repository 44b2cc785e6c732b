package server

import (
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// base is a score request; its fields may be followed by more.
const base = `{"model":"m","query":"is it? ","items":["a","bb"],"apply_softmax":true`

// idBase is a score request of token ids; its fields are followed by more.
const idBase = `{"model":"m","query":[5,6],"items":[[7,8],[7,8,9]],"label_token_ids":[1],"apply_softmax":true,`

func TestExtras(t *testing.T) {
	s := newTestServer(t, nil)
	plain := send(s, "POST", "/v1/score", base+`,"label_token_ids":[89,78]}`).Body.String()
	long := strings.Repeat("x", testContext)
	for name, c := range map[string]struct {
		body string
		want map[string]string // key to JSON value; "" means absent
	}{
		"nothing asked":    {base + `,"label_token_ids":[89,78]}`, map[string]string{"usage": "null", "logprobs": "", "truncated": "", "errors": "", "label_token_ids": ""}},
		"prompt":           {base + `,"label_token_ids":[89,78],"prompt":"for who routes by it"}`, map[string]string{"usage": "null"}},
		"null is absent":   {base + `,"label_token_ids":[89,78],"usage":null,"labels":null,"partial":null}`, map[string]string{"usage": "null", "errors": ""}},
		"labels":           {base + `,"labels":["Y","N"]}`, map[string]string{"label_token_ids": "[89,78]"}},
		"ids before texts": {base + `,"labels":["no such label"],"label_token_ids":[89,78]}`, map[string]string{"label_token_ids": ""}},
		"usage":            {base + `,"label_token_ids":[89,78],"usage":true}`, map[string]string{"usage": `{"prompt_tokens":17,"completion_tokens":0,"total_tokens":17,"cached_tokens":0}`}},
		"truncate":         {`{"model":"m","query":"","items":["a","` + long + `"],"label_token_ids":[1],"truncate":true}`, map[string]string{"truncated": "[1]"}},
		"no positions":     {base + `,"label_token_ids":[89,78],"score_positions":[]}`, map[string]string{"position_scores": ""}},
		"positions": {idBase + `"score_positions":[0,-1,-1],"return_logprobs":true,"usage":true}`, map[string]string{"scores": "[[1.0],[1.0]]",
			"position_scores": "[[[1.0],[1.0],[1.0]],[[1.0],[1.0],[1.0]]]", "usage": `{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9,"cached_tokens":0}`}},
		"position that one item has not": {idBase + `"score_positions":[2],"partial":true}`, map[string]string{"position_scores": "[null,[[1.0]]]",
			"errors": `[{"index":0,"message":"score_positions[0] is 2, and items[0] has 2 tokens; a position is one of the item's tokens, 0 the first and -1 the last","type":"BadRequestError","code":400}]`}},
		"partial": {`{"model":"m","query":"","items":["a",""],"label_token_ids":[1],"apply_softmax":true,"partial":true}`, map[string]string{"scores": "[[1.0],null]",
			"errors": `[{"index":1,"message":"items[1] and query are both empty; a prompt needs at least one token","type":"BadRequestError","code":400}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := send(s, "POST", "/v1/score", c.body)
			var got map[string]json.RawMessage
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			for key, want := range c.want {
				if string(got[key]) != want {
					t.Errorf("%s is %s, want %s", key, got[key], want)
				}
			}
		})
	}
	if got := send(s, "POST", "/v1/score", base+`,"labels":["Y","N"]}`).Body.String(); shape(got[:len(plain)-1]) != shape(plain[:len(plain)-1]) {
		t.Errorf("labels as texts give %s, as ids %s", got, plain)
	}
}

// TestPositionScores: at a position an item has the scores that it has where it ends
// there, and its own scores stay the same.
func TestPositionScores(t *testing.T) {
	s := newTestServer(t, nil)
	type answer struct {
		Scores, Logprobs [][]float64
		PositionScores   [][][]float64 `json:"position_scores"`
		PositionLogprobs [][][]float64 `json:"position_logprobs"`
	}
	ask := func(items, more string) (a answer) {
		t.Helper()
		body := `{"model":"m","query":[5,6],"items":` + items + `,"label_token_ids":[1,2,1],"return_logprobs":true` + more + `}`
		if w := send(s, "POST", "/v1/score", body); json.Unmarshal(w.Body.Bytes(), &a) != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", body, w.Code, w.Body)
		}
		return a
	}
	got := ask(`[[7,8,9],[10,11]]`, `,"score_positions":[-2,0,1,0]`)
	first, second, whole := ask(`[[7],[10]]`, ""), ask(`[[7,8],[10,11]]`, ""), ask(`[[7,8,9],[10,11]]`, "")
	want := answer{Scores: whole.Scores, Logprobs: whole.Logprobs}
	for i, before := range []answer{second, first} { // -2 is the first item's second token, and the second's first
		want.PositionScores = append(want.PositionScores, [][]float64{before.Scores[i], first.Scores[i], second.Scores[i], first.Scores[i]})
		want.PositionLogprobs = append(want.PositionLogprobs, [][]float64{before.Logprobs[i], first.Logprobs[i], second.Logprobs[i], first.Logprobs[i]})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answer %+v, want %+v", got, want)
	}
}

func TestLogprobs(t *testing.T) {
	s := newTestServer(t, nil)
	var got struct{ Scores, Logprobs [][]float64 }
	w := send(s, "POST", "/v1/score", strings.Replace(base, "true", "false", 1)+`,"label_token_ids":[89,78],"return_logprobs":true}`)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for i, row := range got.Scores {
		for k, p := range row {
			if want := min(math.Exp(got.Logprobs[i][k]), 1); p != want {
				t.Errorf("scores[%d][%d] is %v, exp of its logarithm %v", i, k, p, want)
			}
		}
	}
}

func TestExtrasAtFault(t *testing.T) {
	s := newTestServer(t, nil)
	for body, want := range map[string]struct{ param, message string }{
		base + `,"labels":["Yes"]}`:                                                              {"labels[0]", `labels[0] cannot be a label: text "Yes" is 3 tokens, not one; choose a text of one token or send label_token_ids`},
		base + `,"labels":"Y"}`:                                                                  {"", `[{'type': 'list_type', 'loc': ('body', 'labels'), 'msg': 'Input should be a valid list', 'input': 'Y'}]`},
		base + `,"labels":["Y",7]}`:                                                              {"", `[{'type': 'string_type', 'loc': ('body', 'labels', 1), 'msg': 'Input should be a valid string', 'input': 7}]`},
		base + `,"label_token_ids":[1],"usage":"maybe"}`:                                         {"", `[{'type': 'bool_parsing', 'loc': ('body', 'usage'), 'msg': 'Input should be a valid boolean, unable to interpret input', 'input': 'maybe'}]`},
		base + `,"label_token_ids":[1],"score_positions":[0]}`:                                   {"score_positions", `score_positions counts tokens of items, and a text is tokenized together with its query; send query and items as lists of token ids`},
		base + `,"label_token_ids":[1],"score_positions":3}`:                                     {"", `[{'type': 'list_type', 'loc': ('body', 'score_positions'), 'msg': 'Input should be a valid list', 'input': 3}]`},
		base + `,"label_token_ids":[1],"score_positions":[0,"a"]}`:                               {"", `[{'type': 'int_parsing', 'loc': ('body', 'score_positions', 1), 'msg': 'Input should be a valid integer, unable to parse string as an integer', 'input': 'a'}]`},
		idBase + `"score_positions":[0,2]}`:                                                      {"score_positions[1]", `score_positions[1] is 2, and items[0] has 2 tokens; a position is one of the item's tokens, 0 the first and -1 the last`},
		idBase + `"score_positions":[-99999999999999999999]}`:                                    {"score_positions[0]", `score_positions[0] is -99999999999999999999, and items[0] has 2 tokens; a position is one of the item's tokens, 0 the first and -1 the last`},
		idBase + `"score_positions":[0,9223372036854775808]}`:                                    {"score_positions[1]", `score_positions[1] is 9223372036854775808, and items[0] has 2 tokens; a position is one of the item's tokens, 0 the first and -1 the last`},
		`{"model":"m","query":[5,9223372036854775808],"items":[[1]],"label_token_ids":[1]}`:      {"query", `query[1] (9223372036854775808) exceeds vocabulary size (151669)`},
		`{"model":"m","query":[5],"items":[[1],[2,-9223372036854775809]],"label_token_ids":[1]}`: {"items[1]", `items[1][1] is negative (-9223372036854775809). Token IDs must be non-negative.`},
		base + `,"label_tokens":[[1]]}`:                                                          {"label_tokens", `label_token_ids must be provided; label_tokens counts only with "label_mode": "sequence"`},
		base + `,"label_tokens":[[1]],"label_mode":"token"}`:                                     {"label_tokens", `label_token_ids must be provided; label_tokens counts only with "label_mode": "sequence"`},
		base + `}`:             {"label_token_ids", `label_token_ids must be provided`},
		base + `,"labels":[]}`: {"label_token_ids", `label_token_ids cannot be empty. At least one token ID is required.`},
		strings.Replace(base, `"bb"`, `"\ud800"`, 1) + `,"labels":["Y"]}`: {"items[1]", `items[1] holds a lone surrogate, which is no character`},
	} {
		w := send(s, "POST", "/v1/score", body)
		var got struct{ Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusBadRequest {
			t.Fatalf("%s: status %d: %s", body, w.Code, w.Body)
		}
		if answer := (struct{ param, message string }{w.Header().Get("X-Scored-Error-Param"), got.Message}); !reflect.DeepEqual(answer, want) {
			t.Errorf("%s\nanswer %+v\nwant   %+v", body, answer, want)
		}
	}
}

// TestUnservedFields: what would change a score is refused by name. What changes nothing
// is ignored, as in sglang-jax.
func TestUnservedFields(t *testing.T) {
	s := newTestServer(t, nil)
	plain := send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`).Body.String()
	for field, ignored := range map[string]bool{
		`"cache_salt":"s"`: true, `"cache_salt":null`: true,
		`"temperature":0.5`: false, `"temperature":2`: false, `"temperature":1.0`: true, `"temperature":0`: true, `"temperature":null`: true,
		`"score_extraction_token":"a"`: false, `"embed_override_token_id":1`: false, `"query_embed_overrides":[[1]]`: false,
		`"item_embed_overrides":[null]`: false, `"item_embed_overrides":null`: true,
		`"user":"u","stream":true,"n":1`: true,
	} {
		w := send(s, "POST", "/v1/score", base+`,"label_token_ids":[1],`+field+`}`)
		name, _, _ := strings.Cut(strings.TrimPrefix(field, `"`), `"`)
		if ignored && w.Body.String() != plain {
			t.Errorf("%s changes the answer: %d %s", field, w.Code, w.Body)
		}
		if !ignored && (w.Code != 400 || w.Header().Get("X-Scored-Error-Param") != name || !strings.Contains(w.Body.String(), name+" is not supported; ")) {
			t.Errorf("%s: status %d, field %q: %s", field, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
		}
	}
}
