package e2e

import (
	"bytes"
	"encoding/json"
	"math"
	"os/exec"
	"testing"

	"scored/tests/process"
)

// TestBench: the load generator finds nothing wrong with the server. Its texts have the
// right number of tokens, since its words are one token each. The server's counters agree
// with the answers.
func TestBench(t *testing.T) {
	address, _ := start(t, process.Tiny("--enable-metrics")...)
	scored := binary(t)
	for _, form := range []string{"--token-ids", "--token-ids=false"} {
		cmd := exec.Command(scored, "bench", "--url", "http://"+address, "--query-tokens", "40", "--item-tokens", "15", "--items", "6", "--clients", "3",
			"--warmup", "100ms", "--duration", "500ms", "--verify", "--json", form)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", form, err, out, &stderr)
		}
		var report struct {
			Requests int
			Seconds  float64
			Prompt   float64 `json:"prompt_tokens_per_s"`
			Computed float64 `json:"computed_tokens_per_s"`
			Server   struct {
				Computed float64 `json:"computed_tokens"`
			}
		}
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatal(err)
		}
		if got, want := report.Prompt*report.Seconds, float64(report.Requests*6*(40+15)); math.Abs(got-want) > 0.5 || want == 0 {
			t.Errorf("%s: %v prompt tokens in %d requests, want %v", form, got, report.Requests, want)
		}
		if got := report.Computed * report.Seconds; math.Abs(got-report.Server.Computed) > 0.5 {
			t.Errorf("%s: answers tell %v computed tokens, the server's counters %v", form, got, report.Server.Computed)
		}
	}
}
