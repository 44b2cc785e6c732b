package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scored/score"
)

// marked finds a prompt the more relevant the more exclamation marks it holds: each adds
// 1 to the logit of "yes". Other labels have a probability that falls with their id.
func marked() engineFunc {
	return engineFunc{answer: func(row *score.Row, label int32) float32 {
		switch label {
		case byteYes:
			n := 0
			for _, id := range row.Tokens {
				if id == '!' {
					n++
				}
			}
			return float32(n)
		case byteNo:
			return 0
		}
		return -float32(label) / 100
	}}
}

// dialectVector is a request of tests/contract/dialects.jsonl. Where it is refused, field
// is what its message names.
type dialectVector struct {
	exchange
	Field string
}

func dialectVectors(t testing.TB) (all []dialectVector) {
	t.Helper()
	data, err := os.ReadFile("../tests/contract/dialects.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var v dialectVector
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		v.Request, v.Response = v.RequestBody, v.ResponseBody
		v.Headers = map[string]string{"Content-Type": "application/json", "X-Request-Id": "1"}
		all = append(all, v)
	}
	return all
}

// errorText is a message of an error; its words are each server's own.
var errorText = regexp.MustCompile(`"(message|error)":"((?:[^"\\]|\\.)*)"`)

// TestDialects sends what the clients of each dialect are documented, or were seen, to
// send: statuses and shapes must be theirs, and errors name the field and index.
// SCORED_REPLAY_URL=http://host:port asks a running server, whose context must be of
// 2,048 tokens.
func TestDialects(t *testing.T) {
	url := os.Getenv("SCORED_REPLAY_URL")
	if url == "" {
		web := httptest.NewServer(newRerankServer(t, marked()))
		defer web.Close()
		url = web.URL
	}
	for _, v := range dialectVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			status, header, got := v.send(t, url)
			if status != v.Status || header.Get("Content-Type") != "application/json" {
				t.Fatalf("status %d, want %d: %s", status, v.Status, got)
			}
			text := got
			if v.Status != http.StatusOK {
				text = errorText.ReplaceAllString(got, `"$1":""`)
				message := errorText.FindStringSubmatch(got)
				if message == nil || !strings.Contains(message[2], v.Field) || message[2] == "" {
					t.Errorf("message names no %q: %s", v.Field, got)
				}
				if param, there := header["X-Scored-Error-Param"]; there && param[0] != v.Field {
					t.Errorf("header names %q, want %q", param[0], v.Field)
				}
			}
			if want := shape(v.Response); shape(text) != want {
				t.Errorf("answer %s\nwant   %s", text, want)
			}
		})
	}
}

// ask gives the answer's JSON.
func ask[T any](t *testing.T, s *Server, path, body string) (answer T) {
	t.Helper()
	w := send(s, "POST", path, body, "X-Request-Id", "1")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", path, body, w.Code, w.Body)
	}
	return answer
}

// scoresOf gives an answer's numbers by index.
func scoresOf[T any](list []T, read func(T) (int, float64)) []float64 {
	all := make([]float64, len(list))
	for _, each := range list {
		i, value := read(each)
		all[i] = value
	}
	return all
}

// TestDialectsAgree: every dialect gives the same documents the same relevance.
func TestDialectsAgree(t *testing.T) {
	s := newRerankServer(t, fakeEngine{})
	const documents = `["a!","b","c!!d"]`
	var probabilities, logits []float64
	for raw, all := range map[bool]*[]float64{false: &probabilities, true: &logits} {
		answer := ask[rerankResponse](t, s, "/v1/rerank", fmt.Sprintf(`{"query":"q","documents":%s,"raw_scores":%t}`, documents, raw))
		*all = scoresOf(answer.Results, func(r rerankResult) (int, float64) { return r.Index, r.Score })
	}
	tei := func(raw bool) []float64 {
		ranks := ask[[]teiRank](t, s, "/rerank", fmt.Sprintf(`{"query":"q","texts":%s,"raw_scores":%t}`, documents, raw))
		if !slices.IsSortedFunc(ranks, func(a, b teiRank) int { return int(math.Copysign(1, b.Score-a.Score)) }) {
			t.Errorf("ranks are out of order: %v", ranks)
		}
		return scoresOf(ranks, func(r teiRank) (int, float64) { return r.Index, r.Score })
	}
	pairs := func(body string) []float64 {
		return scoresOf(ask[vllmList[vllmScore]](t, s, "/score", body).Data, func(r vllmScore) (int, float64) { return r.Index, r.Score })
	}
	nim := ask[nimRankings](t, s, "/v1/ranking", `{"query":{"text":"q"},"passages":[{"text":"a!"},{"text":"b"},{"text":"c!!d"}]}`)
	for name, c := range map[string]struct{ got, want []float64 }{
		"tei":        {tei(false), probabilities},
		"raw tei":    {tei(true), logits},
		"nim":        {scoresOf(nim.Rankings, func(r nimRanking) (int, float64) { return r.Index, r.Logit }), logits},
		"pairs":      {pairs(`{"text_1":"q","text_2":` + documents + `}`), probabilities},
		"raw pairs":  {pairs(`{"text_1":["q"],"text_2":` + documents + `,"use_activation":false}`), logits},
		"own query":  {pairs(`{"queries":["q","q","q"],"documents":` + documents + `}`), probabilities},
		"two sides":  {pairs(`{"data_1":["r","q"],"data_2":["a","c!!d"]}`)[1:], probabilities[2:]},
		"other side": {pairs(`{"data_1":["r","q"],"data_2":["a","c!!d"]}`)[:1], pairs(`{"data_1":"r","data_2":"a"}`)},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s gives %v, want %v", name, c.got, c.want)
		}
	}
}

// TestPairsAround: an instruction that is sent once is not tokenized with any number of
// queries.
func TestPairsAround(t *testing.T) {
	s := newRerankServer(t, fakeEngine{})
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + "]" }
	for pairs, want := range map[int]int{20: http.StatusOK, 20_000: http.StatusRequestEntityTooLarge} {
		w := send(s, "POST", "/score", fmt.Sprintf(`{"text_1":%s,"text_2":%s,"instruction":"%s"}`, list(pairs), list(pairs), strings.Repeat("i", 1000)))
		if w.Code != want || want != http.StatusOK && w.Header().Get("X-Scored-Error-Param") != "text_1" {
			t.Errorf("%d pairs give %d, field %q: %.200s", pairs, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
		}
	}
}

// TestGenerative: the score is that of the first label on /v1/score, with softmax unless
// the client says otherwise.
func TestGenerative(t *testing.T) {
	s := newTestServer(t, nil)
	for _, c := range []struct{ fields, same string }{
		{`"query":"q","items":["a","b"],"label_token_ids":[5,6]`, `,"apply_softmax":true`},
		{`"query":"q","items":["a","b"],"label_token_ids":[5,6],"apply_softmax":false,"item_first":true`, ``},
		{`"query":[1,2],"items":[[3],[]],"label_token_ids":[6,5,6],"item_first":1`, `,"apply_softmax":true`},
	} {
		got := ask[vllmList[vllmScore]](t, s, "/generative_scoring", `{`+c.fields+`}`)
		want := ask[struct{ Scores [][]float64 }](t, s, "/v1/score", `{"model":"m",`+c.fields+c.same+`}`)
		for i, row := range want.Scores {
			if len(got.Data) != len(want.Scores) || got.Data[i].Score != row[0] || got.Data[i].Index != i {
				t.Errorf("%s gives %+v, want the first of %v", c.fields, got.Data, want.Scores)
			}
		}
		if got.ID != "generative-scoring-1" || got.Model != "Qwen/Qwen3-0.6B" || got.Usage.PromptTokens == 0 {
			t.Errorf("%s gives %+v", c.fields, got)
		}
	}
	if w := send(s, "POST", "/generative_scoring", `{"query":"q","items":["a"],"label_token_ids":[5],"add_special_tokens":false}`); w.Code != http.StatusOK {
		t.Errorf("a tokenizer that adds none takes add_special_tokens false: %d %s", w.Code, w.Body)
	}
	llama := newTestServer(t, func(_ *Config, m *Model) { m.Words = startWords{} })
	w := send(llama, "POST", "/generative_scoring", `{"query":"q","items":["a"],"label_token_ids":[5],"add_special_tokens":false}`)
	if w.Code != http.StatusBadRequest || w.Header().Get("X-Scored-Error-Param") != "add_special_tokens" {
		t.Errorf("a tokenizer that adds one refuses add_special_tokens false: %d %s", w.Code, w.Body)
	}
}

// startWords begins every text with a token.
type startWords struct{ fakeWords }

func (startWords) Lead() int { return 1 }

func (w startWords) Encode(text string, plain bool) ([]int32, error) {
	ids, err := w.fakeWords.Encode(text, plain)
	return append([]int32{1}, ids...), err
}

// TestInstances: predictions are what each instance gets on its own path, in order, and
// together they are bounded.
func TestInstances(t *testing.T) {
	s := newRerankServer(t, fakeEngine{})
	bodies := map[string]string{"/rerank": `{"query":"q","texts":["a","b"]}`, "/v1/rerank": `{"model":"m","query":"q","documents":["a","b"]}`,
		"/score": `{"model":"m","text_1":["q","r"],"text_2":["a","b"]}`, "/v1/ranking": `{"query":{"text":"q"},"passages":[{"text":"a"}]}`,
		"/v1/score": `{"model":"m","query":"q","items":["a","b"],"label_token_ids":[5,6]}`}
	var instances, want []string
	for path, body := range bodies {
		for range 30 {
			instances = append(instances, body)
			want = append(want, send(s, "POST", path, body, "X-Request-Id", "1").Body.String())
		}
	}
	w := send(s, "POST", "/vertex", `{"instances":[`+strings.Join(instances, ",")+`]}`, "X-Request-Id", "1")
	created := regexp.MustCompile(`"created":\d+`)
	got := created.ReplaceAllString(w.Body.String(), "")
	if expected := created.ReplaceAllString(`{"predictions":[`+strings.Join(want, ",")+`]}`, ""); got != expected {
		t.Errorf("status %d, predictions %.500s\nwant %.500s", w.Code, got, expected)
	}
	many := strings.TrimSuffix(strings.Repeat(`{"query":"q","texts":["a"]},`, mostParts+1), ",")
	labels := strings.TrimSuffix(strings.Repeat("5,", 1000), ",")
	wide := `{"query":[1],"items":[` + strings.TrimSuffix(strings.Repeat("[2],", 500), ",") + `],"label_token_ids":[` + labels + `]}`
	for name, body := range map[string]string{"many": many, "wide": strings.TrimSuffix(strings.Repeat(wide+",", 5), ",")} {
		w := send(s, "POST", "/vertex", `{"instances":[`+body+`]}`)
		if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("X-Scored-Error-Param") != "instances" {
			t.Errorf("%s instances: status %d, field %q: %.300s", name, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
		}
	}
}

// TestHosted: a host's own routes, and probes that bring no key.
func TestHosted(t *testing.T) {
	s := newRerankServerWith(t, marked(), func(c *Config) {
		c.APIKey, c.HealthRoute, c.PredictRoute, c.KeylessPing = "secret", "/v1/endpoints/1/deployedModels/2", "/v1/endpoints/1/deployedModels/2:predict", true
	})
	for path, want := range map[string]int{"/v1/endpoints/1/deployedModels/2": 200, "/ping": 200, "/health": 200, "/v1/models": 401} {
		if w := send(s, "GET", path, ""); w.Code != want {
			t.Errorf("GET %s gives %d, want %d", path, w.Code, want)
		}
	}
	const predict, body = "/v1/endpoints/1/deployedModels/2:predict", `{"instances":[{"query":"q","texts":["a"]}]}`
	if w := send(s, "POST", predict, body); w.Code != http.StatusUnauthorized {
		t.Errorf("without a key: %d", w.Code)
	}
	if w := send(s, "POST", predict, body, "Authorization", "Bearer secret"); w.Code != http.StatusOK || w.Body.String() != `{"predictions":[[{"index":0,"score":0.5}]]}` {
		t.Errorf("with the key: %d %s", w.Code, w.Body)
	}
	one := newRerankServerWith(t, marked(), func(c *Config) { c.APIKey, c.HealthRoute, c.PredictRoute = "secret", "/v1/predict", "/v1/predict" })
	if get, post := send(one, "GET", "/v1/predict", ""), send(one, "POST", "/v1/predict", body); get.Code != http.StatusOK || post.Code != http.StatusUnauthorized {
		t.Errorf("one path for both, without a key: GET %d, POST %d, want 200 and 401", get.Code, post.Code)
	}
	shared := newRerankServerWith(t, marked(), func(c *Config) { c.HealthRoute, c.PredictRoute = "/health", "/v1/rerank" })
	for body, want := range map[string]string{body: `{"predictions":[`, `{"query":"q","documents":["a"]}`: `{"id":"rerank-`} {
		if w := send(shared, "POST", "/v1/rerank", body); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%s on a path that there was: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestDialectErrors: what is not the body's fault has the shape and status of the dialect
// too.
func TestDialectErrors(t *testing.T) {
	overloaded := &apiError{status: 503, kind: "ServiceUnavailableError", message: "full", busy: true}
	for name, c := range map[string]struct {
		shape  errorShape
		err    *apiError
		status int
		body   string
	}{
		"tei, full":     {teiError, overloaded, 429, `{"error":"full","error_type":"Overloaded"}`},
		"tei, loading":  {teiError, &apiError{status: 503, message: "loading"}, 503, `{"error":"loading","error_type":"Unhealthy"}`},
		"tei, failed":   {teiError, &apiError{status: 500, message: "failed"}, 424, `{"error":"failed","error_type":"Backend"}`},
		"tei, late":     {teiError, &apiError{status: 504, message: "late"}, 504, `{"error":"late","error_type":"Backend"}`},
		"tei, large":    {teiError, &apiError{status: 413, message: "large"}, 413, `{"error":"large","error_type":"Validation"}`},
		"vllm, full":    {vllmError, overloaded, 503, `{"error":{"message":"full","type":"ServiceUnavailableError","param":null,"code":503}}`},
		"nim, failed":   {nimError, &apiError{status: 500, message: "failed"}, 500, `{"object":"error","message":"failed","detail":{},"type":"server_error"}`},
		"google, full":  {googleError, overloaded, 503, `{"error":{"code":503,"message":"full","status":"UNAVAILABLE"}}`},
		"google, late":  {googleError, &apiError{status: 504, message: "late"}, 504, `{"error":{"code":504,"message":"late","status":"DEADLINE_EXCEEDED"}}`},
		"google, many":  {googleError, &apiError{status: 429, message: "many"}, 429, `{"error":{"code":429,"message":"many","status":"RESOURCE_EXHAUSTED"}}`},
		"google, wrong": {googleError, &apiError{status: 500, message: "failed"}, 500, `{"error":{"code":500,"message":"failed","status":"INTERNAL"}}`},
	} {
		if status, body := c.shape(c.err); status != c.status || body != c.body {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, c.status, c.body)
		}
	}
	loading := New(Config{MaxBody: 100, Logger: slog.New(slog.DiscardHandler)})
	if w := send(loading, "POST", "/score", `{}`); w.Code != 503 || !strings.HasPrefix(w.Body.String(), `{"error":{"message":"model is loading`) {
		t.Errorf("while loading: %d %s", w.Code, w.Body)
	}
}

func TestInfo(t *testing.T) {
	s := newTestServer(t, func(c *Config, m *Model) {
		c.Version = "1.2"
		m.Settings = []Setting{{"dtype", json.RawMessage(`"bfloat16"`)}}
	})
	info := ask0[map[string]any](t, s, "/info")
	want := map[string]any{"model_id": "Qwen/Qwen3-0.6B", "model_sha": nil, "model_dtype": "bfloat16", "version": "1.2", "auto_truncate": false,
		"model_type":       map[string]any{"reranker": map[string]any{"id2label": map[string]any{"0": "yes"}, "label2id": map[string]any{"yes": 0.0}}},
		"max_input_length": float64(score.MaxInput(testContext) - 1), "max_batch_tokens": 4096.0}
	for key, value := range want {
		if got, there := info[key]; !there || !reflect.DeepEqual(got, value) {
			t.Errorf("%s is %v, want %v", key, got, value)
		}
	}
}

// ask0 is ask by GET.
func ask0[T any](t *testing.T, s *Server, path string) (answer T) {
	t.Helper()
	w := send(s, "GET", path, "")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
	}
	return answer
}

// TestDialectNames: every dialect is counted, and the metrics have no other.
func TestDialectNames(t *testing.T) {
	s := newRerankServerWith(t, marked(), func(c *Config) { c.Metrics = NewMetrics("test") })
	spoken := map[string]bool{}
	for _, at := range routes("") {
		for _, d := range at.dialects {
			spoken[d.name] = true
		}
	}
	for _, name := range dialectNames() {
		if !spoken[name] {
			t.Errorf("no route speaks %s", name)
		}
		delete(spoken, name)
	}
	if len(spoken) > 0 {
		t.Errorf("metrics lack %v", spoken)
	}
	send(s, "POST", "/rerank", `{"query":"q","texts":["a"]}`)
	send(s, "POST", "/rerank", `{"query":"q","texts":[]}`)
	if got := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(got, "\nscored_dialect_requests_total{dialect=\"tei\"} 2\n") {
		t.Errorf("metrics do not count 2 requests of TEI's:\n%.3000s", got)
	}
}

// FuzzDialects: no body on any path gives a 5xx, but for the 501 of what this model does
// not serve, and every answer is JSON.
func FuzzDialects(f *testing.F) {
	s := newRerankServer(f, fakeEngine{})
	var paths []string
	for _, at := range routes("") {
		paths = append(paths, at.path)
	}
	for _, v := range dialectVectors(f) {
		if len(v.Request) < 1000 {
			f.Add(byte(slices.Index(paths, v.Path)), []byte(v.Request))
		}
	}
	f.Fuzz(func(t *testing.T, path byte, body []byte) {
		w := send(s, "POST", paths[int(path)%len(paths)], string(body))
		unserved := w.Code == http.StatusNotImplemented && strings.Contains(w.Body.String(), "is not served")
		if w.Code >= 500 && !unserved || w.Code == http.StatusFailedDependency {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("status %d, answer is no JSON: %s", w.Code, w.Body)
		}
	})
}
