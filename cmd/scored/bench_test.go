package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"scored/app"
	"scored/bench"
)

func TestParseBench(t *testing.T) {
	b, err := parseBench([]string{"--workload", "mixed", "--mix", "w1=3,w4", "--labels", "1, 2,3", "--cache=warm", "--rate", "2.5"},
		environment("SCORED_API_KEY", "k"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Mix) != 2 || b.Mix[0].Weight != 3 || b.Mix[1].Name != "w4" || !slices.Equal(b.Labels, []int{1, 2, 3}) || !b.Warm || b.Rate != 2.5 || b.APIKey != "k" || !b.Softmax {
		t.Errorf("flags read as %+v", b.Config)
	}
	b, err = parseBench([]string{"--query-tokens", "5", "--item-tokens", "6", "--items", "7"}, environment(), io.Discard)
	want := bench.Workload{Name: "own", QueryTokens: 5, ItemTokens: 6, Items: 7, Clients: 1}
	if err != nil || len(b.Mix) != 1 || b.Mix[0].Workload != want {
		t.Errorf("own workload reads as %+v with error %v, want %+v", b.Mix, err, want)
	}
}

func TestParseBenchErrors(t *testing.T) {
	for args, want := range map[string]string{
		"--workload w7":               `"w7" is unknown`,
		"--workload mixed --mix w1=x": `weight "x"`,
		"--items 5":                   "--item-tokens",
		"--item-tokens 5":             "--items",
		"--labels 1,x":                `--labels holds "x"`,
		"--cache lukewarm":            "--cache",
		"--clients 2 --rate 3":        "exclude each other",
		"--clients -1":                "--clients",
		"--rate -1":                   "--rate",
		"--cancel-share 1.5":          "--cancel-share",
		"--cancel-share NaN":          "--cancel-share",
		"--duration 0s":               "--duration",
		"--url localhost:30000":       "--url",
		"--nonsense":                  "nonsense",
		"stray":                       `"stray" is not a flag`,
		"--rate 5 --max-in-flight 0":  "--max-in-flight",
		"--query-tokens -1 --item-tokens 5 --items 1": "--query-tokens",
	} {
		_, err := parseBench(strings.Fields(args), environment(), io.Discard)
		var wrong app.UsageError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want a usage error with %s", args, err, want)
		}
	}
}

// TestBenchStatus: the exit status tells whether all answers were right.
func TestBenchStatus(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		args   []string
		want   int
	}{
		"right":          {`{"scores":[[0.5,0.5]],"usage":null}`, nil, 0},
		"wrong":          {`{"scores":[[0.5,0.6]],"usage":null}`, nil, 1},
		"wrong, allowed": {`{"scores":[[0.5,0.6]],"usage":null}`, []string{"--allow-errors"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first := true // which must be right, or nothing is measured
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := c.answer
				if first {
					answer = `{"scores":[[0.5,0.5]]}`
				}
				first = first && r.URL.Path != "/v1/score"
				_, _ = w.Write([]byte(answer))
			}))
			defer server.Close()
			var stdout, stderr bytes.Buffer
			args := append([]string{"bench", "--url", server.URL, "--workload", "w1", "--duration", "1ms", "--warmup", "0s", "--json"}, c.args...)
			if got := run(t.Context(), args, environment(), &stdout, &stderr); got != c.want {
				t.Errorf("status is %d, want %d; it said: %s", got, c.want, &stderr)
			}
			var report bench.Report
			if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || (report.Answered > 0) == strings.HasPrefix(name, "wrong") {
				t.Errorf("report has %d answers with error %v: %s", report.Answered, err, &stdout)
			}
		})
	}
}
