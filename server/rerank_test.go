package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"scored/score"
	"scored/score/scoretest"
)

// exclaimed finds a prompt the more relevant the more exclamation marks it holds: each
// adds 1 to the logit of "yes". A prompt with a ~ overflows.
type exclaimed struct{ fakeEngine }

func (exclaimed) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 1 << 17, Rows: 512, Length: 4096, Cost: 1}}
}

func (exclaimed) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		if !slices.Equal(row.Labels, []int32{byteYes, byteNo}) {
			return nil, fmt.Errorf("labels are %v", row.Labels)
		}
		answers[i] = []float32{0, 0}
		for _, id := range row.Tokens {
			switch id {
			case '!':
				answers[i][0]++
			case '~':
				answers[i][0] = float32(math.NaN())
			}
		}
	}
	return scoretest.Done(answers), nil
}

// newRerankServer cuts whatever reaches score too long, as with --allow-auto-truncate: no
// prompt of rerank's may.
func newRerankServer(t testing.TB, engine score.Engine) *Server {
	t.Helper()
	return newRerankServerWith(t, engine, nil)
}

func newRerankServerWith(t testing.TB, engine score.Engine, change func(*Config)) *Server {
	t.Helper()
	scorer, err := score.New(score.Config{Vocab: byteVocab, ContextLength: testContext, AllowTruncate: true}, byteWords{}, engine)
	if err != nil {
		t.Fatal(err)
	}
	return newTestServer(t, func(c *Config, m *Model) {
		c.ServedModel, c.MaxBody = "served", 1<<22
		m.Scorer, m.Words, m.Vocab = scorer, byteWords{}, byteVocab
		if change != nil {
			change(c)
		}
	})
}

func postRerank(s *Server, path, body string) *httptest.ResponseRecorder {
	return send(s, "POST", path, body, "X-Request-Id", "1")
}

// sigmoid is the softmax of n and 0 at n, as the test's JSON holds it.
func sigmoid(n float64) string {
	text, _ := json.Marshal(1 / (1 + math.Exp(-n)))
	return string(text)
}

func TestRerank(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	result := func(index int, n float64, text string) string {
		return fmt.Sprintf(`{"index":%d,"document":{"text":"%s"},"relevance_score":%s}`, index, text, sigmoid(n))
	}
	abc := result(1, 2, "b!!") + "," + result(2, 1, "c!") + "," + result(0, 0, "a")
	for name, c := range map[string]struct{ body, want string }{
		"vLLM":      {`{"model":"m","query":"q","documents":["a","b!!","c!"]}`, abc},
		"Jina":      {`{"model":"m","query":"q","documents":[{"text":"a"},{"text":"b!!"},{"text":"c!"}],"top_n":3,"return_documents":true}`, abc},
		"both":      {`{"model":"m","query":{"text":"q"},"documents":["a",{"text":"b!!","id":7},"c!"],"user":"u","priority":0}`, abc},
		"nulls":     {`{"model":"m","query":"q","documents":["a","b!!","c!"],"top_n":null,"return_documents":null,"instruction":null}`, abc},
		"top_n 0":   {`{"model":"m","query":"q","documents":["a","b!!","c!"],"top_n":0}`, abc},
		"top_n 9":   {`{"model":"m","query":"q","documents":["a","b!!","c!"],"top_n":9}`, abc},
		"top_n 1":   {`{"model":"m","query":"q","documents":["a","b!!","c!"],"top_n":1}`, result(1, 2, "b!!")},
		"Cohere":    {`{"model":"m","query":"q","documents":["a","b!!"],"top_n":1,"return_documents":false}`, `{"index":1,"relevance_score":` + sigmoid(2) + `}`},
		"ties":      {`{"model":"m","query":"q","documents":["a!","b","c!","d","e!"],"top_n":4}`, result(0, 1, "a!") + "," + result(2, 1, "c!") + "," + result(4, 1, "e!") + "," + result(1, 0, "b")},
		"empty":     {`{"model":"m","query":"","documents":["","!"]}`, result(1, 1, "!") + "," + result(0, 0, "")},
		"lone text": {`{"model":"m","query":"q","documents":"a!"}`, result(0, 1, "a!")},
		"lone":      {`{"model":"m","query":"q","documents":[{"text":"a!"}]}`, result(0, 1, "a!")},
		"unicode":   {`{"model":"m","query":"名","documents":["\u00e9\ud83d\ude00 <b>&","\u5bff!"]}`, result(1, 1, "寿!") + "," + result(0, 0, "é😀 <b>&")},
		"twice":     {`{"model":"m","query":"q","documents":["a","a"]}`, result(0, 0, "a") + "," + result(1, 0, "a")},
		"in query":  {`{"model":"m","query":"q!!","documents":["a"],"instruction":"i!"}`, result(0, 3, "a")},
		"neutral": {`{"model":"m","query":"q","documents":["a","b!!","c!"],"use_activation":true,"raw_scores":false,"max_tokens_per_query":0,` +
			`"max_tokens_per_doc":0,"truncation_side":"right","truncation_direction":"Right","truncation":false,"cache_salt":null,"chat_template":null,` +
			`"normalize":true,"chat_template_kwargs":{"enable_thinking":false},"rank_fields":[]}`, abc},
		"objects": {`{"model":"m","query":"q","documents":[{"text":"a","title":"t!!"},{"text":"b!!","title":"t"}],"rank_fields":["title"]}`,
			result(0, 2, "title: t!!") + "," + result(1, 0, "title: t")},
		"no text": {`{"model":"m","query":"q","documents":[{"title":"t!","year":2020}]}`, result(0, 1, "title: t!")},
	} {
		t.Run(name, func(t *testing.T) {
			w := postRerank(s, "/v1/rerank", c.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			var got rerankResponse
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			tokens := got.Usage.TotalTokens
			want := fmt.Sprintf(`{"id":"rerank-1","model":"m","usage":{"prompt_tokens":%d,"completion_tokens":0,"total_tokens":%d},`+
				`"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1},"tokens":{"input_tokens":%d,"output_tokens":0}},"results":[%s]}`,
				tokens, tokens, tokens, c.want)
			if w.Body.String() != want {
				t.Errorf("answer %s\nwant   %s", w.Body, want)
			}
		})
	}
}

func TestRerankPathsAndModel(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	var first string
	for _, path := range []string{"/rerank", "/v1/rerank", "/v2/rerank"} {
		w := postRerank(s, path, `{"query":"q","documents":["a"]}`)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"model":"served"`) {
			t.Errorf("%s gives %d %s", path, w.Code, w.Body)
		}
		if first == "" {
			first = w.Body.String()
		}
		if w.Body.String() != first {
			t.Errorf("%s gives %s, /rerank %s", path, w.Body, first)
		}
	}
}

func TestRerankErrors(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	long := strings.Repeat("x", testContext)
	for name, c := range map[string]struct{ body, param, message string }{
		"no query":           {`{"documents":["a"]}`, "query", "query must be a string, or"},
		"query of ids":       {`{"query":[1],"documents":["a"]}`, "query", "query must be a string, or"},
		"no documents":       {`{"query":"q"}`, "documents", "documents must be a list of at least one document"},
		"null documents":     {`{"query":"q","documents":null}`, "documents", "documents must be a list of at least one document"},
		"empty documents":    {`{"query":"q","documents":[]}`, "documents", "documents must be a list of at least one document"},
		"number":             {`{"query":"q","documents":["a","b",5]}`, "documents[2]", "documents[2] must be a string, or"},
		"image":              {`{"query":"q","documents":["a",{"image":"http://a/b.png"}]}`, "documents[1]", "nothing but text can be ranked"},
		"null text":          {`{"query":"q","documents":[{"text":null}]}`, "documents[0]", "documents[0] has no text to rank"},
		"number as text":     {`{"query":"q","documents":[{"text":5,"title":"t"}]}`, "documents[0]", "documents[0] must be a string, or"},
		"no fields":          {`{"query":"q","documents":["a",{}]}`, "documents[1]", "documents[1] has no text to rank"},
		"no strings":         {`{"query":"q","documents":[{"id":5,"content":[{"type":"text"}]}]}`, "documents[0]", "documents[0] has no text to rank"},
		"no ranked fields":   {`{"query":"q","documents":[{"text":"a"}],"rank_fields":["title"]}`, "documents[0]", "documents[0] has no text to rank"},
		"list as field":      {`{"query":"q","documents":[{"text":"a","tags":["b"]}],"rank_fields":["text","tags"]}`, "documents[0]", `documents[0] has a list or an object as "tags"`},
		"surrogate field":    {`{"query":"q","documents":[{"title":"\ud800"}]}`, "documents[0]", "documents[0] holds a lone surrogate"},
		"surrogate name":     {`{"query":"q","documents":[{"\ud800":"a"}]}`, "documents[0]", "documents[0] holds a lone surrogate"},
		"rank_fields":        {`{"query":"q","documents":[{"text":"a"}],"rank_fields":"text"}`, "rank_fields", "rank_fields must be a list of the names"},
		"rank field":         {`{"query":"q","documents":[{"text":"a"}],"rank_fields":["text",1]}`, "rank_fields[1]", "rank_fields[1] must be the name"},
		"template kwargs":    {`{"query":"q","documents":["a"],"chat_template_kwargs":"i"}`, "chat_template_kwargs", "chat_template_kwargs must be an object"},
		"its instruction":    {`{"query":"q","documents":["a"],"chat_template_kwargs":{"instruction":1}}`, "chat_template_kwargs.instruction", "must be a string"},
		"use_activation":     {`{"query":"q","documents":["a"],"use_activation":"maybe"}`, "use_activation", "use_activation is no boolean"},
		"empty salt":         {`{"query":"q","documents":["a"],"cache_salt":""}`, "cache_salt", "cache_salt must be a string that is not empty"},
		"query tokens":       {`{"query":"q","documents":["a"],"max_tokens_per_query":5}`, "max_tokens_per_query", "max_tokens_per_query is not supported; send a shorter query"},
		"left side":          {`{"query":"q","documents":["a"],"truncation_side":"left"}`, "truncation_side", "truncation_side is not supported"},
		"left direction":     {`{"query":"q","documents":["a"],"truncation_direction":"Left"}`, "truncation_direction", "truncation_direction is not supported"},
		"template":           {`{"query":"q","documents":["a"],"chat_template":"{{q}}"}`, "chat_template", "chat_template is not supported"},
		"normalize":          {`{"query":"q","documents":["a"],"normalize":false}`, "normalize", "normalize is not supported; send use_activation"},
		"null document":      {`{"query":"q","documents":["a",null]}`, "documents[1]", "documents[1] must be a string, or"},
		"first of two":       {`{"query":"q","documents":["a",1,2],"top_n":-1}`, "documents[1]", "documents[1] must be a string, or"},
		"surrogate":          {`{"query":"q","documents":["a","\ud800"]}`, "documents[1]", "documents[1] holds a lone surrogate"},
		"surrogate query":    {`{"query":"\udc00","documents":["a"]}`, "query", "query holds a lone surrogate"},
		"rank_fields of ids": {`{"query":"q","documents":["a"],"rank_fields":[1,2]}`, "rank_fields[0]", "rank_fields[0] must be the name of a field"},
		"negative top_n":     {`{"query":"q","documents":["a"],"top_n":-1}`, "top_n", "top_n is -1; it must be at least 0"},
		"huge top_n":         {`{"query":"q","documents":["a"],"top_n":-99999999999999999999}`, "top_n", "top_n is -99999999999999999999; it must"},
		"top_n text":         {`{"query":"q","documents":["a"],"top_n":"many"}`, "top_n", "top_n is no integer. Input should be a valid integer"},
		"return_documents":   {`{"query":"q","documents":["a"],"return_documents":"maybe"}`, "return_documents", "return_documents is no boolean. Input"},
		"instruction":        {`{"query":"q","documents":["a"],"instruction":5}`, "instruction", "instruction must be a string"},
		"instruct":           {`{"query":"q","documents":["a"],"instruct":["a"]}`, "instruct", "instruct must be a string"},
		"model":              {`{"query":"q","documents":["a"],"model":5}`, "model", "model must be a string"},
		"max_tokens":         {`{"query":"q","documents":["a"],"max_tokens_per_doc":-1}`, "max_tokens_per_doc", "it must be at least 0"},
		"truncate":           {`{"query":"q","documents":["a"],"truncate_prompt_tokens":-2}`, "truncate_prompt_tokens", "it must be at least -1"},
		"long document":      {`{"query":"q","documents":["a","` + long + `"]}`, "documents[1]", "documents[1] is too long: its prompt is"},
		"long query":         {`{"query":"` + long + `","documents":["a"]}`, "query", "query and instruction leave no room for a document"},
		"long query to cut":  {`{"query":"` + long + `","documents":["a"],"truncate_prompt_tokens":-1}`, "query", "leave no room"},
		"no room":            {`{"query":"q","documents":["a"],"truncate_prompt_tokens":100}`, "query", "of at most 100. Use"},
		"broken JSON":        {`{"query":"q",`, "", "JSON decode error"},
		"no object":          {`[]`, "", "valid dictionary"},
		"nothing":            {``, "", "Field required"},
	} {
		t.Run(name, func(t *testing.T) {
			w := postRerank(s, "/v1/rerank", c.body)
			var envelope struct {
				Object, Message, Type string
				Code                  int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &envelope); err != nil {
				t.Fatal(err)
			}
			if w.Code != http.StatusBadRequest || envelope.Code != w.Code || envelope.Object != "error" {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if got := w.Header().Get("X-Scored-Error-Param"); got != c.param || !strings.Contains(envelope.Message, c.message) {
				t.Errorf("field %q, message %q; want %q, %q", got, envelope.Message, c.param, c.message)
			}
		})
	}
}

// Raw scores are the logit of "yes" less that of "no", which no sigmoid saturates. They
// rank as probabilities do.
func TestRerankRaw(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	marks := strings.Repeat("!", 60) // a probability that rounds to 1
	for _, field := range []string{`"use_activation":false`, `"activation":0`, `"raw_scores":"yes"`, `"use_activation":true,"raw_scores":true`} {
		w := postRerank(s, "/v1/rerank", `{"query":"q","documents":["a","b!!","`+marks+`"],"return_documents":false,`+field+`}`)
		want := `"results":[{"index":2,"relevance_score":60},{"index":1,"relevance_score":2},{"index":0,"relevance_score":0}]}`
		if w.Code != http.StatusOK || !strings.HasSuffix(w.Body.String(), want) {
			t.Errorf("%s: status %d, %s, want %s", field, w.Code, w.Body, want)
		}
	}
	s = newRerankServer(t, impossible{})
	for field, want := range map[string]int{`"use_activation":true`: 200, `"use_activation":false`: 500} {
		w := postRerank(s, "/v1/rerank", `{"query":"q","documents":["a"],`+field+`}`)
		if w.Code != want || want == 500 && w.Header().Get("X-Scored-Error-Param") != "documents[0]" {
			t.Errorf("%s where no can not be: status %d, want %d: %s", field, w.Code, want, w.Body)
		}
	}
}

// impossible gives "no" a probability of 0.
type impossible struct{ exclaimed }

func (impossible) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i := range answers {
		answers[i] = []float32{0, float32(math.Inf(-1))}
	}
	return scoretest.Done(answers), nil
}

// A score that overflows is our fault, and names the document by what the client calls
// it.
func TestRerankOverflow(t *testing.T) {
	w := postRerank(newRerankServer(t, exclaimed{}), "/v1/rerank", `{"query":"q","documents":["a","b","c~"]}`)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "documents[2] has no finite score") ||
		strings.Contains(w.Body.String(), "items") || w.Header().Get("X-Scored-Error-Param") != "documents[2]" {
		t.Errorf("status %d, field %q: %s", w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
	}
}

func TestRerankNeedsItsTokens(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	working := s.model.Load()
	for name, c := range map[string]struct {
		change  func(m *Model)
		message string
	}{
		"no tokenizer":     {func(m *Model) { m.Words = nil }, "server runs without a tokenizer"},
		"small vocabulary": {func(m *Model) { m.Vocab = byteNo }, "the template's token 259 is not in its vocabulary of 259"},
		"no yes":           {func(m *Model) { m.Words = noSingle{} }, `"yes" or "no" is not one token`},
	} {
		m := *working.Model
		c.change(&m)
		s.Serve(&m)
		w := postRerank(s, "/v1/rerank", `{"query":"q","documents":["a"]}`)
		if w.Code != http.StatusBadRequest || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), c.message) {
			t.Errorf("%s gives %d %s", name, w.Code, w.Body)
		}
	}
}

type noSingle struct{ byteWords }

func (noSingle) Single(text string) (int32, error) { return 0, fmt.Errorf("text %q is 2 tokens", text) }

func TestRerankBeforeTheModelIsReady(t *testing.T) {
	s := New(Config{MaxBody: 100, Logger: slog.New(slog.DiscardHandler)})
	if w := postRerank(s, "/v1/rerank", `{}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("while loading gives %d, want 503", w.Code)
	}
}

func TestRerankManyDocuments(t *testing.T) {
	s := newRerankServer(t, exclaimed{})
	documents := make([]string, 10_000)
	for i := range documents {
		documents[i] = strings.Repeat("!", i*7919%10) // every count of marks a thousand times
	}
	body, err := json.Marshal(map[string]any{"query": "q", "documents": documents, "return_documents": false})
	if err != nil {
		t.Fatal(err)
	}
	w := postRerank(s, "/v1/rerank", string(body))
	var got rerankResponse
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	if len(got.Results) != len(documents) {
		t.Fatalf("%d results of %d documents", len(got.Results), len(documents))
	}
	for i, result := range got.Results[1:] {
		before := got.Results[i]
		if a, b := len(documents[before.Index]), len(documents[result.Index]); a < b || a == b && before.Index >= result.Index {
			t.Fatalf("result %d is document %d, after document %d", i+1, result.Index, before.Index)
		}
	}
}

// FuzzRerank: no body gives a 5xx, and results are the documents, each once, by falling
// score.
func FuzzRerank(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"query":"q","documents":["a","b!"]}`, `{"query":{"text":"q"},"documents":[{"text":"a"}],"top_n":1}`,
		`{"query":"q","documents":"<|im_end|>","split_special_tokens":0,"truncate_prompt_tokens":400,"max_tokens_per_doc":1}`,
		`{"query":"q","documents":[{"title":"t","year":1.5,"new":true},{"text":"a","tags":[]}],"rank_fields":["year","title"],"use_activation":0}`,
		`{"query":"q","documents":["a"],"chat_template_kwargs":{"instruction":"i"},"truncation_side":"left","cache_salt":"","max_tokens_per_query":1}`} {
		f.Add([]byte(seed))
	}
	s := newRerankServer(f, fakeEngine{})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := postRerank(s, "/v1/rerank", string(body))
		if w.Code >= 500 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		var got rerankResponse
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Skip("an error's body")
		}
		seen := map[int]bool{}
		for i, result := range got.Results {
			if seen[result.Index] || i > 0 && result.Score > got.Results[i-1].Score {
				t.Fatalf("results are out of order: %s", w.Body)
			}
			seen[result.Index] = true
		}
	})
}
