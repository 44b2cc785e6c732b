package server

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// exchange is one recorded or derived request and its answer; the two files name their
// fields differently.
type exchange struct {
	Name, Method, Path, Note string
	Headers                  map[string]string
	RequestHeaders           map[string]string `json:"request_headers"`
	Request                  string
	RequestBody              string `json:"request_body"`
	Status                   int
	ResponseHeaders          map[string]string `json:"response_headers"`
	ContentType              string            `json:"content_type"`
	Response                 string
	ResponseBody             string `json:"response_body"`
}

func exchanges(t *testing.T, file string) (all []exchange) {
	t.Helper()
	f, err := os.Open("../tests/contract/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		e.Request, e.Response = e.Request+e.RequestBody, e.Response+e.ResponseBody
		if e.Headers == nil {
			e.Headers = e.RequestHeaders
		}
		all = append(all, e)
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s holds %d exchanges: %v", file, len(all), lines.Err())
	}
	return all
}

// TestReplay sends every exchange of the contract. Statuses, the headers that clients act
// on and error texts must be the sglang-jax's, byte for byte; of successes the shape.
// SCORED_REPLAY_URL=http://host:port replays against a running server, ours (with
// --profile-emulate-peer --served-model-name MODEL_DIR) or sglang-jax itself; what
// depends on how it was started is left out.
func TestReplay(t *testing.T) {
	url := os.Getenv("SCORED_REPLAY_URL")
	for file, name := range map[string]string{"wire.jsonl": "MODEL_DIR", "examples.jsonl": "Qwen/Qwen3-0.6B"} {
		for _, e := range exchanges(t, file) {
			t.Run(file+"/"+e.Name+e.Method+e.Path, func(t *testing.T) {
				e.Request = strings.ReplaceAll(e.Request, "/srv/p", t.TempDir())
				if url != "" {
					if e.Status == http.StatusUnauthorized || e.Path == "/get_model_info" {
						t.Skip("depends on how the server was started")
					}
					if e.Path != "/v1/score" { // which echoes the name it is sent
						e.Response = strings.ReplaceAll(e.Response, name, "MODEL_DIR")
					}
					(exchange{Method: "POST", Path: "/stop_profile"}).send(t, url)
					e.check(t, url)
					return
				}
				s := newTestServer(t, func(c *Config, _ *Model) {
					c.ServedModel, c.ModelPath, c.TokenizerPath, c.EmulateSGLang = name, name, name, true
					if e.Status == http.StatusUnauthorized {
						c.APIKey = "secret"
					}
				})
				web := httptest.NewServer(s)
				defer web.Close()
				e.check(t, web.URL)
			})
		}
	}
}

// check sends the exchange and compares.
func (e exchange) check(t *testing.T, url string) {
	if strings.Contains(e.Note, "running") && !strings.HasPrefix(e.Note, "not running") {
		if status, _, _ := (exchange{Method: "POST", Path: "/start_profile"}).send(t, url); status != http.StatusOK {
			t.Fatalf("profile does not start: status %d", status)
		}
	}
	if strings.Contains(e.Response, "in_progress") {
		(exchange{Method: "POST", Path: "/start_profile"}).send(t, url)
	}
	status, header, got := e.send(t, url)
	if e.Status == 0 { // it killed sglang-jax, or came after one that did
		if status != http.StatusBadRequest && status != http.StatusOK {
			t.Errorf("status %d, want 400 or 200", status)
		}
		return
	}
	if reason := deviation(e, status); reason != "" {
		t.Skip("deviates on purpose: " + reason)
	}
	if status != e.Status {
		t.Fatalf("status %d, want %d\nrequest %.300s\nanswer  %.300s\nwant    %.300s", status, e.Status, e.Request, got, e.Response)
	}
	want := map[string]string{"content-type": e.ContentType}
	for name, value := range e.ResponseHeaders {
		want[name] = value
	}
	for name, value := range want {
		if name == "location" { // sglang-jax repeats the Host header here; this server gives the path alone
			value = e.Path[:len(e.Path)-1]
			if there := url + value; header.Get(name) == there && os.Getenv("SCORED_REPLAY_URL") != "" {
				value = there
			}
		}
		if has := header.Get(name); has != value && (value != "" || name != "content-type" || e.ContentType != "") {
			t.Errorf("header %s is %q, want %q", name, has, value)
		}
	}
	text := e.Response
	if status == http.StatusOK {
		got, text = shape(got), shape(text)
	}
	if got != text && e.Method != http.MethodHead {
		t.Errorf("request %.300s\nanswer %.600s\nwant   %.600s", e.Request, got, text)
	}
}

func (e exchange) send(t *testing.T, url string) (int, http.Header, string) {
	r, err := http.NewRequest(e.Method, url+e.Path, strings.NewReader(e.Request))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}

var number = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?`)

// shape is a success body without its numbers, which depend on weights.
func shape(body string) string { return number.ReplaceAllString(body, "#") }

// deviation says why an answer differs from sglang-jax's on purpose; "" if it must not.
func deviation(e exchange, status int) string {
	switch {
	case e.Status == http.StatusBadRequest && status == http.StatusOK && strings.Contains(e.Response, "(vocab size: 151643)"):
		return "added tokens have logits, so they may be labels: ids up to 151,668 are accepted"
	case e.Status == http.StatusInternalServerError && status == http.StatusBadRequest:
		return "sglang-jax answers 500 to bad input"
	case e.Status == http.StatusOK && status == http.StatusBadRequest && strings.Contains(e.Request, "999999"):
		return "sglang-jax scores token ids beyond its vocabulary as meaningless numbers"
	case e.Path == "/get_load" && status == http.StatusOK:
		return "sglang-jax's answer is a 500 by a fault of its own"
	case e.Path == "/health_generate" && status == http.StatusOK:
		return "sglang-jax was recorded while it compiled"
	case e.Path == "/get_server_info" && status == http.StatusOK, e.Path == "/openapi.json" && status == http.StatusOK, e.Path == "/docs" && status == http.StatusOK:
		return "describes this server; its own tests read it"
	case e.Path == "/flush_cache" && status == http.StatusOK:
		return "depends on the cache; TestFlush compares the texts"
	}
	return ""
}
