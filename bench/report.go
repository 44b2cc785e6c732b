package bench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run saw. Rates are over the time from the first request to the last answer.
type Report struct {
	URL       string         `json:"url"`
	Seconds   float64        `json:"seconds"`
	Requests  int            `json:"requests"` // answered with the right shape
	GivenUp   int            `json:"given_up"` // by their client, on purpose
	NotSent   int            `json:"not_sent"`
	Errors    map[string]int `json:"errors"` // by what was wrong
	ItemsRate float64        `json:"items_per_second"`
	TokenRate float64        `json:"prompt_tokens_per_second"`
	// Latency of answered requests in milliseconds.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`

	// From the server's own metrics, over the same time; nil without them.
	Server *Server `json:"server,omitempty"`
}

// Server is how a server spent the run.
type Server struct {
	ComputedRate float64 `json:"computed_tokens_per_second"`
	PaddingShare float64 `json:"padding_share"` // of the tokens that steps computed
	CachedShare  float64 `json:"cached_share"`  // of the prompt tokens
	Steps        float64 `json:"steps"`
	// GFLOPS are those of the arithmetic that the tokens computed need, of a Qwen3-0.6B: 880.8 MFLOP of linear layers a
	// token, and 229,376 FLOP for each pair of a token and one before it.
	GFLOPS float64 `json:"gflop_per_second"`
}

const (
	flopPerToken = 880.8e6
	flopPerPair  = 229376
)

func newReport(o Options, samples []sample, notSent int, took time.Duration, before, after counters) *Report {
	r := &Report{URL: o.URL, Seconds: took.Seconds(), NotSent: notSent, Errors: map[string]int{}}
	var latencies []float64
	items, tokens, pairs := 0, 0, 0.0
	for _, s := range samples {
		switch {
		case s.err == nil:
			r.Requests++
			w := s.workload
			items += w.Items
			latencies = append(latencies, float64(s.latency.Microseconds())/1000)
			prompt, computed := w.Items*(w.Query+w.Item), w.Items*w.Item+w.Query
			if s.answer.Usage != nil {
				prompt = s.answer.Usage.PromptTokens
				computed = prompt - s.answer.Usage.CachedTokens
			}
			tokens += prompt
			// Computed tokens see half of their own run, and items the whole query besides.
			pairs += float64(w.Items*w.Item)*(float64(w.Query)+float64(w.Item)/2) + float64(max(computed-w.Items*w.Item, 0))*float64(w.Query)/2
		case s.given:
			r.GivenUp++
		default:
			r.Errors[kindOf(s.err)]++
		}
	}
	seconds := max(took.Seconds(), 1e-9)
	r.ItemsRate, r.TokenRate = float64(items)/seconds, float64(tokens)/seconds
	slices.Sort(latencies)
	r.P50, r.P95, r.P99, r.Max = percentile(latencies, 50), percentile(latencies, 95), percentile(latencies, 99), percentile(latencies, 100)
	if after != nil {
		computed, padding := after.since(before, "scored_tokens_total", `"computed"`), after.since(before, "scored_tokens_total", `"padding"`)
		prompt, cached := after.since(before, "scored_tokens_total", `"prompt"`), after.since(before, "scored_tokens_total", `"cached"`)
		r.Server = &Server{ComputedRate: computed / seconds, PaddingShare: padding / max(computed+padding, 1), CachedShare: cached / max(prompt, 1),
			Steps: after.since(before, "scored_steps_total", ""), GFLOPS: (computed*flopPerToken + pairs*flopPerPair) / seconds / 1e9}
	}
	return r
}

// percentile of sorted values by nearest rank: the smallest value that at least p percent are not above. 0 of none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(p/100*float64(len(sorted))))-1, 0)]
}

func kindOf(err error) string {
	var status *statusError
	var network *url.Error
	switch {
	case errors.As(err, &status):
		return fmt.Sprintf("status %d", status.status)
	case errors.Is(err, errWrong):
		return "wrong answer"
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	default:
		return "connection"
	}
}

// Failed tells whether any request got no right answer.
func (r *Report) Failed() bool { return len(r.Errors) > 0 }

// Write prints the report as a table.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name, format string, values ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", values...) }
	row("server", "%s", r.URL)
	row("requests", "%d in %.1f s", r.Requests, r.Seconds)
	row("errors", "%s", r.errorText())
	row("items/s", "%.1f", r.ItemsRate)
	row("prompt tokens/s", "%.0f", r.TokenRate)
	row("latency, ms", "p50 %.1f   p95 %.1f   p99 %.1f   max %.1f", r.P50, r.P95, r.P99, r.Max)
	if s := r.Server; s != nil {
		row("computed tokens/s", "%.1f", s.ComputedRate)
		row("cached, of prompt tokens", "%.1f %%", 100*s.CachedShare)
		row("padding, of tokens in steps", "%.1f %%", 100*s.PaddingShare)
		row("steps", "%.0f", s.Steps)
		row("GFLOP/s, of a 0.6B model", "%.1f", s.GFLOPS)
	}
	return t.Flush()
}

func (r *Report) errorText() string {
	parts := []string{}
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Errors[kind], kind))
	}
	if r.GivenUp > 0 {
		parts = append(parts, fmt.Sprintf("(%d given up by their client)", r.GivenUp))
	}
	if r.NotSent > 0 {
		parts = append(parts, fmt.Sprintf("(%d not sent: too many in flight)", r.NotSent))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
