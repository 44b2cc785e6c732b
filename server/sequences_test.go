package server

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
)

const sequenceBase = `{"model":"m","query":"is it? ","items":["a","bb"],"label_mode":"sequence",`

type sequenceAnswer struct {
	Scores, Logprobs [][]float64
	LabelTokens      [][]int `json:"label_tokens"`
	LabelTokenIDs    []int   `json:"label_token_ids"`
	Usage            *struct {
		Prompt int `json:"prompt_tokens"`
		Cached int `json:"cached_tokens"`
	}
}

func askSequences(t *testing.T, s *Server, body string) (a sequenceAnswer) {
	t.Helper()
	if w := send(s, "POST", "/v1/score", body); json.Unmarshal(w.Body.Bytes(), &a) != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", body, w.Code, w.Body)
	}
	return a
}

// TestLabelSequences: a label of several tokens has the sum of what each of its tokens
// has behind the prompt and those before it, whether it comes as a text or as ids.
func TestLabelSequences(t *testing.T) {
	s := newTestServer(t, nil)
	one := func(item, label string) float64 { // the log-probability of one byte
		a := askSequences(t, s, `{"model":"m","query":"is it? ","items":["`+item+`"],"labels":["`+label+`"],"return_logprobs":true}`)
		return a.Logprobs[0][0]
	}
	got := askSequences(t, s, sequenceBase+`"labels":["Yes","No","Y","Yes"],"return_logprobs":true,"usage":true}`)
	if len(got.LabelTokens) != 4 || len(got.LabelTokens[1]) != 2 || got.LabelTokens[1][0] != 'N' || got.LabelTokenIDs != nil {
		t.Errorf("labels are %v, want the bytes of each", got.LabelTokens)
	}
	for i, item := range []string{"a", "bb"} {
		for k, label := range []string{"Yes", "No", "Y", "Yes"} {
			want := 0.0
			for n := range label {
				want += one(item+label[:n], label[n:n+1])
			}
			if math.Abs(got.Logprobs[i][k]-want) > 1e-9 || got.Scores[i][k] != math.Exp(got.Logprobs[i][k]) {
				t.Errorf("item %d label %q has %v and scores %v, want %v", i, label, got.Logprobs[i][k], got.Scores[i][k], want)
			}
		}
	}
	// 8 and 9 tokens of the prompts, and two rows each, of Ye and of N: the labels' last
	// tokens need not be computed.
	if u := got.Usage; u.Prompt != 8-1+3+2+9-1+3+2 || u.Cached < 0 {
		t.Errorf("usage %+v, want 25 tokens", u)
	}
	ids := askSequences(t, s, sequenceBase+`"label_tokens":[[89,101,115],[78,111],["89"],[89,101,115]],"return_logprobs":true}`)
	if ids.LabelTokens != nil || ids.Logprobs[0][0] != got.Logprobs[0][0] || ids.Logprobs[1][1] != got.Logprobs[1][1] {
		t.Errorf("ids give %v, texts %v", ids, got)
	}
	mean := askSequences(t, s, sequenceBase+`"labels":["Yes","No"],"normalize":true,"apply_softmax":true}`)
	if want := 1 / (1 + math.Exp(got.Logprobs[0][1]/2-got.Logprobs[0][0]/3)); math.Abs(mean.Scores[0][0]-want) > 1e-9 {
		t.Errorf("softmax of means by token is %v, want %v", mean.Scores[0][0], want)
	}
}

// TestSequencesOfOneToken: labels of one token each score the same in both modes, and
// "token" and null are as no mode.
func TestSequencesOfOneToken(t *testing.T) {
	s := newTestServer(t, nil)
	plain := send(s, "POST", "/v1/score", base+`,"label_token_ids":[89,78,89]}`).Body.String()
	for _, more := range []string{`"label_mode":"sequence"`, `"label_mode":"token"`, `"label_mode":null,"label_tokens":7,"normalize":"perhaps"`} {
		if got := send(s, "POST", "/v1/score", base+`,"label_token_ids":[89,78,89],`+more+`}`).Body.String(); got != plain {
			t.Errorf("with %s the answer is %s, want %s", more, got, plain)
		}
	}
}

func TestSequencesAtFault(t *testing.T) {
	s := newTestServer(t, nil)
	for fields, want := range map[string]struct{ param, says string }{
		`"labels":["a",""]`: {"labels[1]", "labels[1] has no tokens; a label needs one at least"},
		`"labels":[]`:       {"labels", "labels cannot be empty"},
		`"labels":["` + strings.Repeat("x", 4097) + `"]`: {"labels[0]", "labels[0] has 4097 bytes, a label may have 4096"},
		`"labels":["` + strings.Repeat("x", 2000) + `"]`: {"labels", "labels has more than 1024 tokens to read"},
		`"labels":[[1,2]]`:                              {"", "('body', 'labels', 0)"},
		`"labels":["a","\ud800"]`:                       {"labels[1]", "labels[1] holds a lone surrogate"},
		`"label_tokens":[[1],[]]`:                       {"label_tokens[1]", "label_tokens[1] has no tokens"},
		`"label_tokens":[[1,151669]]`:                   {"label_tokens[0]", "label_tokens[0][1] (151669) exceeds vocabulary size"},
		`"label_tokens":[[-1]]`:                         {"label_tokens[0]", "label_tokens[0][0] is negative (-1)"},
		`"label_tokens":[1]`:                            {"", "('body', 'label_tokens', 0)"},
		`"label_tokens":[["x"]]`:                        {"", "('body', 'label_tokens', 0, 0)"},
		`"label_tokens":{}`:                             {"", "('body', 'label_tokens')"},
		`"label_token_ids":[151669]`:                    {"label_token_ids", "Token ID 151669 is out of vocabulary"},
		`"labels":["a"],"label_tokens":[[1]]`:           {"labels", "labels and label_tokens are both there"},
		`"label_token_ids":[1],"label_tokens":[[1]]`:    {"label_tokens", "label_tokens and label_token_ids are both there"},
		`"labels":["a"],"normalize":"maybe"`:            {"", "('body', 'normalize')"},
		`"labels":["a"],"score_positions":[0]`:          {"score_positions", ""},
		`"usage":true`:                                  {"labels", "labels must be provided; send labels, label_tokens or label_token_ids"},
		`"label_tokens":[[1],[2,-9223372036854775809]]`: {"label_tokens[1]", "label_tokens[1][1] is negative (-9223372036854775809)"},
	} {
		w := send(s, "POST", "/v1/score", sequenceBase+fields+`}`)
		if w.Code != 400 || w.Header().Get("X-Scored-Error-Param") != want.param || !strings.Contains(w.Body.String(), want.says) {
			t.Errorf("%.80s: status %d, field %q: %s", fields, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
		}
	}
	for _, mode := range []string{`"sequences"`, `7`, `["sequence"]`, `true`, `{}`} {
		w := send(s, "POST", "/v1/score", base+`,"labels":["Y"],"label_mode":`+mode+`}`)
		if w.Code != 400 || w.Header().Get("X-Scored-Error-Param") != "label_mode" {
			t.Errorf("label_mode %s: status %d: %s", mode, w.Code, w.Body)
		}
	}
}
