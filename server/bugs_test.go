package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"scored/score"
	"scored/score/scoretest"
)

// The tests of this file replay faults that users of other score servers have reported in
// public. Their numbers are those of the list that the end-to-end tests use too. "Next
// request works" is part of every row.

// row is a body and what it must give. Where message is "", any will do.
type row struct {
	body, param, message string
	status               int
}

func fields(rest string) string { return `{"model":"m","query":"Is this spam? ",` + rest + `}` }

const two = `"items":["Buy now","Lunch at noon"],"label_token_ids":[94,27],"apply_softmax":true`

// bugs are those that one request shows.
var bugs = map[string][]row{
	"01 first request, one item, one string": {
		{fields(`"items":["x"],"label_token_ids":[94,27]`), "", `"scores":[[`, 200},
		{fields(`"items":"x","label_token_ids":[94,27]`), "", `"scores":[[`, 200},
	},
	"02 labels beyond the vocabulary": {
		{fields(`"items":["x"],"label_token_ids":[151936]`), "label_token_ids", "Token ID 151936 is out of vocabulary", 400},
		{fields(`"items":["x"],"label_token_ids":[999999999]`), "label_token_ids", "Token ID 999999999", 400},
		{fields(`"items":["x"],"label_token_ids":[5279552648203111001]`), "label_token_ids", "Token ID 5279552648203111001", 400},
		{fields(`"items":["x"],"label_token_ids":[1e3]`), "", "", 200}, // a whole float is an int to sglang-jax's schema
	},
	"03 negative ids": {
		{fields(`"items":["x"],"label_token_ids":[-1]`), "label_token_ids", "label_token_ids[0] is negative (-1)", 400},
		{`{"model":"m","query":[-1],"items":[[1]],"label_token_ids":[1]}`, "query", "query[0] is negative (-1)", 400},
		{`{"model":"m","query":[1],"items":[[1],[2,-5]],"label_token_ids":[1]}`, "items[1]", "items[1][1] is negative (-5)", 400},
	},
	"05 added tokens are labels, padding rows are not": {
		{fields(`"items":["x"],"label_token_ids":[151645,151667]`), "", "", 200},
		{fields(`"items":["x"],"label_token_ids":[151669]`), "label_token_ids", "Token ID 151669", 400},
		{fields(`"items":["x"],"label_token_ids":[151935]`), "label_token_ids", "Token ID 151935", 400},
	},
	"06 no items": {
		{fields(`"items":[],"label_token_ids":[1]`), "", `"scores":[]`, 200},
		{fields(`"label_token_ids":[1]`), "query", "Invalid combination", 400},
		{fields(`"items":null,"label_token_ids":[1]`), "query", "Invalid combination", 400},
	},
	"08 texts and ids mixed": {
		{fields(`"items":[[1]],"label_token_ids":[1]`), "items", "Invalid combination", 400},
		{fields(`"items":["a",[1]],"label_token_ids":[1]`), "", "'loc': ('body', 'items', 'list[str]', 1)", 400},
		{fields(`"items":[1,2],"label_token_ids":[1]`), "", "'loc': ('body', 'items', 'list[list[int]]', 0)", 400},
	},
	"10 no labels": {{fields(`"items":["x"],"label_token_ids":[]`), "label_token_ids", "label_token_ids cannot be empty", 400}},
	"21 lone surrogates": {
		{fields(`"items":["\ud83d"],"label_token_ids":[1]`), "items[0]", "lone surrogate", 400},
		{`{"model":"m","query":"\ud83d","items":["\ud83d"],"label_token_ids":[1]}`, "query", "lone surrogate", 400},
		{fields(`"items":["x\ude00y"],"label_token_ids":[1]`), "items[0]", "lone surrogate", 400},
		{fields(`"items":["\ud83d\ude00"],"label_token_ids":[1]`), "", "", 200},
	},
	"22 bytes that are no UTF-8": {
		{fields("\"items\":[\"\xc3\x28\"],\"label_token_ids\":[1]"), "", `{"detail":"There was an error parsing the body"}`, 400},
		{fields("\"items\":[\"\xff\"],\"label_token_ids\":[1]"), "", `{"detail":"There was an error parsing the body"}`, 400},
		{"\xef\xbb\xbf" + fields(two), "", "", 200},
	},
	"25 the longest prompt": {
		{fields(fmt.Sprintf(`"items":["a","%s"],"label_token_ids":[1]`, strings.Repeat("x", testContext-6-14-1))), "", "", 200},
		{fields(fmt.Sprintf(`"items":["a","%s"],"label_token_ids":[1]`, strings.Repeat("x", testContext-6-14))), "items[1]", "Input length (2042 tokens)", 400},
		{fields(fmt.Sprintf(`"items":["a","%s"],"label_token_ids":[1],"truncate":true`, strings.Repeat("x", testContext))), "", `"truncated":[1]`, 200},
	},
	"26 one item too long": {
		{fields(`"items":["a","b","` + strings.Repeat("x", 60000) + `","c"],"label_token_ids":[1]`), "items[2]", "longer than the model's context length", 400},
		{fields(`"items":["a","b","` + strings.Repeat("x", 60000) + `","c"],"label_token_ids":[1],"partial":true`), "", `"errors":[{"index":2,`, 200},
	},
	"52 the model's name": {
		{`{"model":"nope","query":"a","items":["b"],"label_token_ids":[1]}`, "", `"model":"nope"`, 200}, // sglang-jax never compares it
		{`{"model":"","query":"a","items":["b"],"label_token_ids":[1]}`, "", `"model":""`, 200},
		{`{"query":"a","items":["b"],"label_token_ids":[1]}`, "", "'type': 'missing', 'loc': ('body', 'model')", 400},
	},
	"57 usage counts tokens": {{fields(`"items":["ab","c"],"label_token_ids":[1],"usage":true`), "", `"usage":{"prompt_tokens":31,"completion_tokens":0,`, 200}},
}

func TestBugs(t *testing.T) {
	s := newTestServer(t, nil)
	for name, rows := range bugs {
		t.Run(name, func(t *testing.T) {
			for _, r := range rows {
				w := send(s, "POST", "/v1/score", r.body)
				if w.Code != r.status || w.Header().Get("X-Scored-Error-Param") != r.param || !strings.Contains(w.Body.String(), r.message) {
					t.Errorf("%.200s\nstatus %d, param %q: %.300s\nwant %d, %q: %s", r.body, w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body, r.status, r.param, r.message)
				}
				if w := send(s, "POST", "/v1/score", fields(two)); w.Code != http.StatusOK {
					t.Fatalf("the next request gets %d: %s", w.Code, w.Body)
				}
			}
		})
	}
}

// engineFunc is an engine that answers with what answer gives for each label of each row.
type engineFunc struct {
	fakeEngine
	answer func(row *score.Row, label int32) float32
}

func (e engineFunc) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i := range step.Rows {
		for _, label := range step.Rows[i].Labels {
			answers[i] = append(answers[i], e.answer(&step.Rows[i], label))
		}
	}
	return scoretest.Done(answers), nil
}

func TestBug11NotANumber(t *testing.T) {
	engine := engineFunc{answer: func(row *score.Row, label int32) float32 {
		switch {
		case row.Tokens[len(row.Tokens)-1] == '!':
			return float32(math.NaN())
		case label == 9:
			return float32(math.Inf(-1))
		}
		return -100 // e^-100 is far below what float32 holds
	}}
	s := newTestServer(t, func(c *Config, m *Model) {
		c.Metrics = NewMetrics("test")
		m.Scorer = newTestScorer(t, engine, c.Metrics)
	})
	w := send(s, "POST", "/v1/score", fields(`"items":["a","b!"],"label_token_ids":[9,10]`))
	if w.Code != http.StatusInternalServerError || w.Header().Get("X-Scored-Error-Param") != "items[1]" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("NaN gives %d, param %q: %s", w.Code, w.Header().Get("X-Scored-Error-Param"), w.Body)
	}
	w = send(s, "POST", "/v1/score", fields(`"items":["a","b!"],"label_token_ids":[9,10],"partial":true,"return_logprobs":true`))
	if want := `{"scores":[[0.0,3.720075976020836e-44],null],"model":"m","usage":null,"object":"scoring","logprobs":[[null,-100.0],null],"errors":[{"index":1,`; !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("partial answer %s, want %s…", w.Body, want)
	}
	if metrics := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, "scored_not_finite_total 2") {
		t.Error("metrics do not count two items without a score")
	}
}

func TestBug18ItemFirst(t *testing.T) {
	s := newTestServer(t, nil)
	first := send(s, "POST", "/v1/score", `{"model":"m","query":"Q","items":["a","b","c"],"label_token_ids":[1],"item_first":true}`).Body.String()
	for i, item := range []string{"a", "b", "c"} {
		alone := send(s, "POST", "/v1/score", `{"model":"m","query":"`+item+`","items":["Q"],"label_token_ids":[1]}`).Body.String()
		var all, one struct{ Scores [][]float64 }
		if json.Unmarshal([]byte(first), &all) != nil || json.Unmarshal([]byte(alone), &one) != nil || all.Scores[i][0] != one.Scores[0][0] {
			t.Errorf("item %q before the query scores %s, joined by hand %s", item, first, alone)
		}
	}
}

func TestBug28ManyItems(t *testing.T) {
	s := newTestServer(t, nil)
	items := strings.TrimSuffix(strings.Repeat(`"twenty tokens of it.",`, 10_000), ",")
	var got struct{ Scores [][]float64 }
	w := send(s, "POST", "/v1/score", fields(`"items":[`+items+`],"label_token_ids":[1]`))
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Scores) != 10_000 {
		t.Fatalf("status %d, %d rows of scores: %.200s", w.Code, len(got.Scores), w.Body)
	}
}

func TestBug32ExpectContinue(t *testing.T) {
	web := httptest.NewServer(newTestServer(t, func(c *Config, _ *Model) { c.APIKey = "secret"; c.MaxBody = 4 << 20 }))
	defer web.Close()
	body := fields(`"items":["` + strings.Repeat("x", 1000) + `"],"label_token_ids":[1],"ignored":"` + strings.Repeat("y", 2<<20) + `"`)
	for key, want := range map[string][]string{"secret": {"HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"}, "wrong": {"HTTP/1.1 401 Unauthorized"}} {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(body))
		answer := bufio.NewReader(conn)
		for _, line := range want {
			got, err := answer.ReadString('\n')
			if err != nil || strings.TrimSpace(got) != line {
				t.Fatalf("key %q: %q (%v), want %q", key, got, err, line)
			}
			if line == want[0] && len(want) == 2 {
				_, _ = answer.ReadString('\n') // the blank line
				if _, err := io.WriteString(conn, body); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestBug34SlowClients: sockets that send a byte now and then are closed, and hold nobody
// up.
func TestBug34SlowClients(t *testing.T) {
	web := httptest.NewUnstartedServer(newTestServer(t, func(c *Config, _ *Model) { c.BodyTimeout = 300 * time.Millisecond }))
	web.Config.ReadHeaderTimeout = 300 * time.Millisecond
	web.Start()
	defer web.Close()
	var slow sync.WaitGroup
	for n := range 200 {
		slow.Go(func() {
			conn, err := net.Dial("tcp", web.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			begin := "POST /v1/score HTTP/1.1\r\nHost: x\r\n"
			if n%2 == 0 { // these are slow with the body
				begin += "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
			}
			_, _ = io.WriteString(conn, begin)
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("socket %d was not closed", n)
			}
		})
	}
	for range 50 {
		answer, err := http.Post(web.URL+"/v1/score", "application/json", strings.NewReader(fields(two)))
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("normal traffic among slow clients: %v", err)
		}
		_ = answer.Body.Close()
	}
	slow.Wait()
}

// TestBug35ClientsLeave: queued items of clients that left go before their step.
func TestBug35ClientsLeave(t *testing.T) {
	s, engine := newSlowServer(t, func(c *Config) { c.Metrics = NewMetrics("test") })
	items := strings.TrimSuffix(strings.Repeat(`"item",`, 200), ",")
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if w := send(s, "POST", "/v1/score", fields(`"items":[`+items+`],"label_token_ids":[1]`), "X-Request-Timeout-Ms", "2000"); w.Code != http.StatusGatewayTimeout {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	clients.Wait()
	close(engine.release)
	scorer := s.model.Load().Scorer
	for scorer.Load().RunningRows > 0 {
		time.Sleep(time.Millisecond)
	}
	if load := scorer.Load(); load.Steps != 1 || load.WaitingRows != 0 {
		t.Errorf("load %+v: want the one step that was under way, and nothing after it", load)
	}
	if metrics := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, "scored_cancelled_requests_total 20") {
		t.Error("metrics do not count 20 requests")
	}
}

func TestBug38Overload(t *testing.T) {
	engine := &slowEngine{began: make(chan struct{}, 100), release: make(chan struct{})}
	s := newTestServer(t, func(c *Config, m *Model) {
		scorer, err := score.New(score.Config{Vocab: 1000, ContextLength: testContext, MaxQueue: 4}, fakeEncoder{}, engine)
		if err != nil {
			t.Fatal(err)
		}
		c.Metrics, m.Scorer = NewMetrics("test"), scorer
	})
	var admitted sync.WaitGroup
	admitted.Go(func() {
		if w := send(s, "POST", "/v1/score", fields(two)); w.Code != http.StatusOK {
			t.Errorf("admitted request gets %d", w.Code)
		}
	})
	<-engine.began
	admitted.Go(func() { send(s, "POST", "/v1/score", fields(two)) })
	for s.model.Load().Scorer.Load().WaitingRows < 2 {
		time.Sleep(time.Millisecond)
	}
	for range 40 {
		w := send(s, "POST", "/v1/score", fields(two))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "queue is full (4 of 4 rows)") {
			t.Fatalf("overload gives %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
	close(engine.release)
	admitted.Wait()
	if metrics := send(s, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, `scored_rejected_requests_total{reason="overloaded"} 40`) {
		t.Error("metrics do not count 40 refusals")
	}
}

func TestBug53Keys(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.APIKey = "secret" })
	for path, open := range map[string]bool{"/health": true, "/health_generate": true, "/livez": true, "/readyz": true, "/metrics": true,
		"/ping": false, "/start_profile": false, "/v1/score": false, "/v1/score?api_key=secret": false} {
		method := "GET"
		if strings.HasPrefix(path, "/v1/score") {
			method = "POST"
		}
		w := send(s, method, path, fields(two))
		if (w.Code != http.StatusUnauthorized) != open {
			t.Errorf("%s without a key gives %d", path, w.Code)
		}
		if !open && (w.Header().Get("WWW-Authenticate") != "Bearer" || w.Body.String() != `{"error":"Unauthorized"}`) {
			t.Errorf("%s: WWW-Authenticate %q, body %s", path, w.Header().Get("WWW-Authenticate"), w.Body)
		}
	}
}
