package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentiles(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	slices.Reverse(hundred)
	ms := func(values ...int) (d []time.Duration) {
		for _, v := range values {
			d = append(d, time.Duration(v)*time.Millisecond)
		}
		return d
	}
	for name, c := range map[string]struct {
		samples []time.Duration
		want    Latency
	}{
		"none":    {nil, Latency{}},
		"one":     {ms(7), Latency{1, 7, 7, 7, 7}},
		"two":     {ms(9, 3), Latency{2, 3, 9, 9, 9}},
		"hundred": {hundred, Latency{100, 50, 95, 99, 100}},
		"outlier": {append(ms(1000), slices.Repeat(ms(1), 99)...), Latency{100, 1, 1, 1, 1000}},
	} {
		if got := newLatency(c.samples); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestIsolation: scores that depend on the company an item keeps are found.
func TestIsolation(t *testing.T) {
	for name, c := range map[string]struct {
		leak float64
		want string
	}{"alone": {0, ""}, "within": {1e-6, ""}, "leaking": {1e-4, "item 0 scores"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leaking := func(w http.ResponseWriter, r fakeRequest) {
					p := 0.5 + c.leak*float64(len(r.Items))
					writeScores(w, slices.Repeat([][]float64{{p, 1 - p}}, len(r.Items)), nil)
				}
				config := against(t, &fakeServer{latency: after(time.Second), answer: leaking}, "w2")
				config.Verify = true
				report := mustRun(t, config)
				if err := report.Err(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("error is %v, want %q", err, c.want)
				}
			})
		})
	}
}

// TestReport: what is measured is what is printed, as text and as JSON, with the server's
// counters of the measured time.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{latency: after(500 * time.Millisecond)}
		server.metrics = func() string {
			n := len(server.requests)
			return fmt.Sprintf("# TYPE scored_tokens_total counter\n"+`scored_tokens_total{kind="prompt"} %d`+"\n"+`scored_tokens_total{kind="cached"} %d`+"\n"+
				`scored_tokens_total{kind="computed"} %d`+"\n"+`scored_tokens_total{kind="padding"} %d`+"\n# TYPE scored_steps_total counter\n"+
				`scored_steps_total{device="0",result="ok"} %d`+"\n", 100*n, 40*n, 60*n, 20*n, 2*n)
		}
		server.answer = func(w http.ResponseWriter, r fakeRequest) {
			if len(server.requests)%5 == 0 {
				http.Error(w, "queue is full", http.StatusTooManyRequests)
				return
			}
			even(w, r)
		}
		c := against(t, server, "w1=1,w4=1")
		c.Clients, c.Warmup, c.Verify = 1, time.Second, false
		report := mustRun(t, c)

		var text strings.Builder
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"16 answered in 10.0 s", "errors: 429", "4, the first: queue is full", "p50 500.0", "  w4", "40 steps, padding 25.0 %, cached tokens 40.0 %"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("table lacks %q:\n%s", want, &text)
			}
		}
		data, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Requests int
			Errors   map[string]struct{ Count int }
			Latency  struct {
				P99 float64 `json:"p99_ms"`
			}
			Server struct {
				PaddingShare float64 `json:"padding_share"`
			}
		}
		if err := json.Unmarshal(data, &read); err != nil || read.Requests != 16 || read.Errors["429"].Count != 4 || read.Latency.P99 != 500 || read.Server.PaddingShare != 0.25 {
			t.Errorf("JSON reads %+v with error %v from %s", read, err, data)
		}
		if err := report.Err(); err == nil || !strings.Contains(err.Error(), "4 requests failed with 429") {
			t.Errorf("error is %v, want the 429s", err)
		}
	})
}
