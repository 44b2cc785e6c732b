package server

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"

	"scored/score"
)

// classifier serves the fakes as a classifier.
func classifier(t *testing.T, activation score.Activation, names ...string) *Server {
	t.Helper()
	return newTestServer(t, func(_ *Config, m *Model) {
		scorer, err := score.New(score.Config{Vocab: 151669, ContextLength: testContext, MaxLabels: 1,
			Classes: score.Classes{Names: names, Activation: activation}}, fakeEncoder{}, fakeEngine{})
		if err != nil {
			t.Fatal(err)
		}
		m.Scorer = scorer
	})
}

// logitsOf are the fake engine's of a text's classes.
func logitsOf(t *testing.T, text string, classes int) []float64 {
	t.Helper()
	step := &score.Step{Rows: []score.Row{{}}}
	for i := range len(text) {
		step.Rows[0].Tokens = append(step.Rows[0].Tokens, int32(text[i]))
	}
	for k := range classes {
		step.Rows[0].Labels = append(step.Rows[0].Labels, int32(k))
	}
	pending, err := fakeEngine{}.Run(step)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := pending.Wait()
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float64, classes)
	for k, x := range answers[0] {
		logits[k] = float64(x)
	}
	return logits
}

func sameNumbers(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12*math.Abs(want[i]) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}

func softmaxOf(logits []float64) []float64 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(x)
	}
	scores := make([]float64, len(logits))
	for i, x := range logits {
		scores[i] = math.Exp(x) / sum
	}
	return scores
}

// TestClassify: texts and token ids, one or many, in vLLM's words.
func TestClassify(t *testing.T) {
	names := []string{"bad", "fair", "good"}
	s := classifier(t, score.Softmax, names...)
	for fields, texts := range map[string][]string{
		`"input":"one text"`:                      {"one text"},
		`"input":["one","two","one"],"model":"m"`: {"one", "two", "one"},
		`"input":[104,105]`:                       {"hi"},
		`"input":[[104,105],[33]]`:                {"hi", "!"},
		`"input":"x","truncate_prompt_tokens":-1`: {"x"},
		`"input":"` + strings.Repeat("x", 5000) + `","truncate_prompt_tokens":-1`: {strings.Repeat("x", score.MaxInput(testContext))},
	} {
		got := ask[vllmList[classData]](t, s, "/classify", `{`+fields+`}`)
		tokens := 0
		for i, text := range texts {
			tokens += len(text)
			want := softmaxOf(logitsOf(t, text, 3))
			sameNumbers(t, fields, got.Data[i].Probs, want)
			top := 0
			for k := range want {
				if want[k] > want[top] {
					top = k
				}
			}
			if d := got.Data[i]; d.Index != i || d.Label != names[top] || d.Count != 3 {
				t.Errorf("%s: text %d is %+v, want class %s", fields, i, d, names[top])
			}
		}
		if len(got.Data) != len(texts) || got.Usage.PromptTokens != tokens || got.Object != "list" || !strings.HasPrefix(got.ID, "classify-") {
			t.Errorf("%s: answer is %+v", fields, got)
		}
	}
	raw := ask[vllmList[classData]](t, s, "/v1/classify", `{"input":["a"],"use_activation":false,"request_id":"mine"}`)
	sameNumbers(t, "logits", raw.Data[0].Probs, logitsOf(t, "a", 3))
	if raw.ID != "classify-mine" || raw.Model != "Qwen/Qwen3-0.6B" {
		t.Errorf("answer is %+v", raw)
	}
}

// TestPredict: the same in TEI's words.
func TestPredict(t *testing.T) {
	s := classifier(t, score.Sigmoid, "a", "b")
	check := func(what string, got []teiClass, text string, sigmoid bool) {
		t.Helper()
		want := logitsOf(t, text, 2)
		for k, x := range want {
			if sigmoid {
				want[k] = 1 / (1 + math.Exp(-x))
			}
		}
		labels := []string{"a", "b"}
		if want[1] > want[0] {
			want[0], want[1], labels = want[1], want[0], []string{"b", "a"}
		}
		sameNumbers(t, what, []float64{got[0].Score, got[1].Score}, want)
		if got[0].Label != labels[0] || got[1].Label != labels[1] {
			t.Errorf("%s: classes are %v, want %v", what, got, labels)
		}
	}
	for _, path := range []string{"/predict", "/classify"} {
		check("a text", ask[[]teiClass](t, s, path, `{"inputs":"text"}`), "text", true)
		check("a list of one", ask[[]teiClass](t, s, path, `{"inputs":["text"],"raw_scores":true}`), "text", false)
		batch := ask[[][]teiClass](t, s, path, `{"inputs":[["text"],["other"]],"truncate":true}`)
		check("a batch", batch[0], "text", true)
		check("a batch", batch[1], "other", true)
	}
}

// TestClassifierReranks: with one class, relevance is its score; with more there is none.
func TestClassifierReranks(t *testing.T) {
	s := classifier(t, score.Sigmoid, "relevant")
	prompt := func(document string) string {
		return rerankBefore + "<Instruct>: " + rerankInstruction + "\n<Query>: q\n<Document>: " + document + rerankAfter
	}
	body := `{"query":"q","documents":["a","b"]`
	for fields, logit := range map[string]bool{`}`: false, `,"raw_scores":true}`: true} {
		got := ask[rerankResponse](t, s, "/v1/rerank", body+fields)
		for _, result := range got.Results {
			want := logitsOf(t, prompt([]string{"a", "b"}[result.Index]), 1)[0]
			if !logit {
				want = 1 / (1 + math.Exp(-want))
			}
			sameNumbers(t, fields, []float64{result.Score}, []float64{want})
		}
	}
	pairs := ask[vllmList[vllmScore]](t, s, "/v1/score", `{"model":"m","text_1":"q","text_2":["a","b"]}`)
	sameNumbers(t, "a pair", []float64{pairs.Data[1].Score}, []float64{1 / (1 + math.Exp(-logitsOf(t, prompt("b"), 1)[0]))})
	if w := send(classifier(t, score.Softmax, "x", "y"), "POST", "/v1/rerank", body+"}"); w.Code != 400 || !strings.Contains(w.Body.String(), "2 classes") {
		t.Errorf("two classes: %d %s", w.Code, w.Body)
	}
}

// TestClassifierRefuses: what a classifier has not is refused, and a language model has
// no classes.
func TestClassifierRefuses(t *testing.T) {
	s, language := classifier(t, score.Softmax, "x", "y"), newTestServer(t, nil)
	for _, c := range []struct {
		server     *Server
		path, body string
		status     int
		want       string
	}{
		{s, "/v1/score", `{"model":"m","query":"q","items":["a"],"label_token_ids":[1]}`, 400, "is a classifier"},
		{s, "/generative_scoring", `{"query":"q","items":["a"],"label_token_ids":[1]}`, 400, "is a classifier"},
		{s, "/classify", `{}`, 400, "input must be"},
		{s, "/classify", `{"input":[]}`, 400, "input must be"},
		{s, "/classify", `{"input":["a",5]}`, 400, "input[1]"},
		{s, "/classify", `{"input":[1,"a"]}`, 400, "input[1] is no token id"},
		{s, "/classify", `{"input":[1,2,[3]]}`, 400, "input[2] is no token id"},
		{s, "/classify", `{"input":[null,"a"]}`, 400, "input[0] is no token id"},
		{s, "/classify", `{"input":[[1],"a"]}`, 400, "input[1] is not of the kind of input[0]"},
		{s, "/classify", `{"input":["a",[1]]}`, 400, "input[1] is not of the kind of input[0]"},
		{s, "/classify", `{"input":[[1],["a"]]}`, 400, "input[1]"},
		{s, "/classify", `{"input":{"a":1}}`, 400, "input must be"},
		{s, "/classify", `{"input":[1,151669]}`, 400, "input[1] (151669) exceeds"},
		{s, "/classify", `{"input":[[1],[1,9223372036854775808]]}`, 400, "input[1][1] (9223372036854775808) exceeds"},
		{s, "/classify", `{"input":[1.5]}`, 400, "input[0]"},
		{s, "/classify", `{"input":""}`, 400, "input is empty; a text needs at least one token"},
		{s, "/classify", `{"input":["a",""]}`, 400, "input[1] is empty; a text needs at least one token"},
		{s, "/classify", `{"input":[[1],[]]}`, 400, "input[1] is empty; a text needs at least one token"},
		{s, "/classify", `{"input":"a","truncate_prompt_tokens":7}`, 400, "truncate_prompt_tokens"},
		{s, "/classify", `{"messages":[]}`, 400, "input must be"},
		{s, "/classify", `{"input":"a","messages":[1]}`, 400, "messages"},
		{s, "/classify", `{"input":"` + strings.Repeat("x", 3000) + `"}`, 400, "input is too long: its prompt is "},
		{s, "/predict", `{"inputs":["a","b"]}`, 422, "inputs is a pair"},
		{s, "/predict", `{"inputs":[["a"],["b","c"]]}`, 422, "inputs[1] is a pair"},
		{s, "/predict", `{"inputs":["a",7]}`, 422, "inputs[1] must be a text"},
		{s, "/predict", `{"inputs":["a",["b"]]}`, 422, "inputs[1] must be a text"},
		{s, "/predict", `{"inputs":[["a"],"b"]}`, 422, "inputs[1] is a text, but inputs[0] is a list"}, // TEI refuses it, too
		{s, "/predict", `{"inputs":[["a"],["b",7]]}`, 422, "inputs[1][1] must be a text"},
		{s, "/predict", `{"inputs":""}`, 422, "inputs is empty; a text needs at least one token"},
		{s, "/predict", `{"inputs":[["a"],[""]]}`, 422, "inputs[1] is empty; a text needs at least one token"},
		{s, "/predict", `{"inputs":[]}`, 422, "inputs must be"},
		{s, "/predict", `{"inputs":[[]]}`, 422, "inputs[0]"},
		{s, "/predict", `{"inputs":[["a"],7]}`, 422, "inputs[1]"},
		{s, "/predict", `{}`, 422, "inputs must be"},
		{language, "/classify", `{"input":"a"}`, 501, "/classify is not served"},
		{language, "/predict", `{"inputs":"a"}`, 400, "no classifier"},
		{language, "/invocations", `{"inputs":"a"}`, 400, "no classifier"},
	} {
		w := send(c.server, "POST", c.path, c.body)
		if param := w.Header().Get("X-Scored-Error-Param"); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || !strings.Contains(w.Body.String(), param) {
			t.Errorf("%s %.60s: %d %s of field %q, want %d and %q", c.path, c.body, w.Code, w.Body, param, c.status, c.want)
		}
	}
}

// TestClassifierIsShown where clients look for it.
func TestClassifierIsShown(t *testing.T) {
	for names, kind := range map[string]string{"x,y": "classifier", "x": "reranker"} {
		s := classifier(t, score.Softmax, strings.Split(names, ",")...)
		var info struct {
			Type map[string]teiLabels `json:"model_type"`
		}
		if err := json.Unmarshal(send(s, "GET", "/info", "").Body.Bytes(), &info); err != nil || info.Type[kind].Labels["0"] != "x" || len(info.Type) != 1 {
			t.Errorf("/info of classes %s has the type %v, %v", names, info.Type, err)
		}
		if w := send(s, "GET", "/get_model_info", ""); !strings.Contains(w.Body.String(), `"is_generation":false`) {
			t.Errorf("/get_model_info is %s", w.Body)
		}
		if w := send(s, "GET", "/health_generate", ""); w.Code != http.StatusOK {
			t.Errorf("/health_generate is %d", w.Code)
		}
	}
}
