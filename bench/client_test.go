package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body       string
		kind, want string // kind "" is a right answer
	}{
		"right":           {200, `{"scores":[[0.25,0.75],[1.0,0.0]],"usage":null}`, "", ""},
		"sum within 1e-6": {200, `{"scores":[[0.25,0.7500009],[1.0,0.0]]}`, "", ""},
		"row missing":     {200, `{"scores":[[0.25,0.75]]}`, kindWrong, "1 rows for 2 items"},
		"row too many":    {200, `{"scores":[[1,0],[1,0],[1,0]]}`, kindWrong, "3 rows for 2 items"},
		"no scores":       {200, `{"object":"scoring"}`, kindWrong, "0 rows"},
		"label missing":   {200, `{"scores":[[0.25,0.75],[1.0]]}`, kindWrong, "row 1 has 1 scores for 2 labels"},
		"null row":        {200, `{"scores":[[0.25,0.75],null]}`, kindWrong, "row 1 has 0 scores"},
		"null score":      {200, `{"scores":[[0.25,null],[1,0]]}`, kindWrong, "null"},
		"bad sum":         {200, `{"scores":[[0.25,0.750002],[1,0]]}`, kindWrong, "row 0 sums to"},
		"negative":        {200, `{"scores":[[1,0],[-0.5,1.5]]}`, kindWrong, "no probability"},
		"NaN":             {200, `{"scores":[[1,0],[NaN,1]]}`, kindWrong, "invalid character"},
		"huge":            {200, `{"scores":[[1,0],[1e999,1]]}`, kindWrong, "1e999"},
		"text":            {200, `Internal Server Error`, kindWrong, "Internal Server Error"},
		"overloaded":      {429, `{"message":"queue is full"}`, "429", "queue is full"},
		"server error":    {500, strings.Repeat("x", 1000), "500", "xxx…"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			sender := &client{http: server.Client(), base: server.URL, labels: []int{1, 2}, softmax: true, timeout: time.Minute}
			_, failed := sender.score(t.Context(), []byte("{}"), 2)
			switch {
			case c.kind == "" && failed != nil:
				t.Errorf("failed with %s: %v", failed.kind, failed.err)
			case c.kind != "" && (failed == nil || failed.kind != c.kind || !strings.Contains(failed.err.Error(), c.want)):
				t.Errorf("failure is %+v, want %s with %q", failed, c.kind, c.want)
			}
		})
	}
}

// TestRawScores: without softmax rows need not sum to 1.
func TestRawScores(t *testing.T) {
	c := &client{labels: []int{1, 2}}
	if err := c.check([][]number{{0.1, 0.2}}, 1); err != nil {
		t.Error(err)
	}
	if err := c.check([][]number{{0.1, 1.2}}, 1); err == nil {
		t.Error("a probability of 1.2 passes")
	}
}

// TestOverNetwork runs all of it against a real listener.
func TestOverNetwork(t *testing.T) {
	handler := &fakeServer{}
	server := httptest.NewServer(handler)
	defer server.Close()
	c := against(t, nil, "w2,w3s")
	c.URL, c.Transport, c.APIKey, c.Clients, c.Duration, c.Verify = server.URL, nil, "k", 3, 20*time.Millisecond, true
	report := mustRun(t, c)
	if err := report.Err(); err != nil || report.Answered < 3 || report.Isolation.Items != 6 {
		t.Errorf("error %v, %d answered, %d items verified; want at least 3 and 6", err, report.Answered, report.Isolation.Items)
	}
	if want := report.Answered + 1 + 2 + 6; len(handler.requests) != want {
		t.Errorf("server saw %d requests, want %d", len(handler.requests), want)
	}
	for _, request := range handler.requests {
		if request.key != "Bearer k" || request.Model != "m" || !request.Softmax || !request.Usage || len(request.Labels) != 2 {
			t.Fatalf("request is %+v", request)
		}
	}
}

func TestNoServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := against(t, nil, "w1")
	c.URL, c.Transport = server.URL, nil
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), server.URL) || !strings.Contains(err.Error(), "connection") {
		t.Errorf("error is %v, want the address and connection", err)
	}
}

func TestParseCounters(t *testing.T) {
	before, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := parseCounters(before)
	if want := (&counters{prompt: 54_000, cached: 20_000, computed: 34_000, padding: 6_000, steps: 42}); !reflect.DeepEqual(got, want) {
		t.Errorf("counters are %+v, want %+v", got, want)
	}
	for name, text := range map[string]string{"other server": "# TYPE x counter\nx 1\n", "empty": "", "no metrics": "<html>", "cut": "scored_tokens_total{kind="} {
		if got := parseCounters([]byte(text)); got != nil {
			t.Errorf("%s: counters are %+v, want none", name, got)
		}
	}
	later := &counters{prompt: 55_000, cached: 20_250, computed: 34_300, padding: 6_100, steps: 45}
	if got, want := later.since(got), (&ServerFigures{Steps: 3, ComputedTokens: 300, PaddingShare: 0.25, CachedShare: 0.25}); !reflect.DeepEqual(got, want) {
		t.Errorf("figures are %+v, want %+v", got, want)
	}
	if later.since(nil) != nil || (*counters)(nil).since(later) != nil {
		t.Error("figures without both scrapes")
	}
}
