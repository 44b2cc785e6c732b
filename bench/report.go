package bench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the result of a run. Its JSON is one object.
type Report struct {
	Config  Config  `json:"-"`
	Load    string  `json:"load"`
	Seconds float64 `json:"seconds"` // from the first request to the last answer

	Answered  int                `json:"requests"` // correctly
	Failures  map[string]Failure `json:"errors"`   // by HTTP status, or by a word of client.go
	Cancelled int                `json:"cancelled"`
	NotSent   int                `json:"not_sent"`    // open loop: too many were in flight
	LagMS     float64            `json:"send_lag_ms"` // open loop: the longest delay of sending

	ItemsPerSecond          float64 `json:"items_per_s"`
	PromptTokensPerSecond   float64 `json:"prompt_tokens_per_s"`   // of all items in full
	ComputedTokensPerSecond float64 `json:"computed_tokens_per_s"` // without those from a cache
	// GFLOPPerSecond is the arithmetic of the computed tokens if the model is
	// Qwen3-0.6B: 880.8 MFLOP for each token, and 229,376 FLOP for each pair of a token
	// and a key at or before it.
	GFLOPPerSecond float64 `json:"gflop_per_s_qwen3_0_6b"`
	// UsageTold reports whether answers counted their tokens. If not, prompts are
	// assumed to have the requested length, and each query to be computed once.
	UsageTold bool `json:"usage_told"`

	Latency   Latency            `json:"latency"`
	Workloads map[string]Latency `json:"workloads"`
	Server    *ServerFigures     `json:"server"`
	Isolation *Isolation         `json:"isolation"`
}

// Failure is how often requests failed in one way, and the text of the first.
type Failure struct {
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// fill computes the report from the results and the server's counters before and after,
// either of which may be nil. Seconds must be set.
func (r *Report) fill(t *tally, before, after *counters) {
	r.Load = r.Config.load()
	r.Failures, r.Cancelled, r.NotSent = map[string]Failure{}, t.cancelled, t.skipped
	maps.Copy(r.Failures, t.failures)
	r.LagMS = float64(t.lag) / float64(time.Millisecond)
	r.Workloads = map[string]Latency{}
	for i, share := range t.mix {
		if t.latencies != nil {
			r.Workloads[share.Name] = newLatency(t.latencies[i])
		}
	}
	r.Latency = newLatency(slices.Concat(t.latencies...))
	r.Answered = r.Latency.Requests
	r.UsageTold = t.told > 0 && t.told == r.Answered // else some counts are assumptions
	if r.Seconds > 0 {
		r.ItemsPerSecond = float64(t.items) / r.Seconds
		r.PromptTokensPerSecond = float64(t.prompt) / r.Seconds
		r.ComputedTokensPerSecond = float64(t.computed) / r.Seconds
		r.GFLOPPerSecond = t.flop / 1e9 / r.Seconds
	}
	r.Server = after.since(before)
}

// load describes in words what was sent.
func (c *Config) load() string {
	names := make([]string, len(c.Mix))
	for i, share := range c.Mix {
		names[i] = share.Name
		if len(c.Mix) > 1 {
			names[i] += fmt.Sprintf("=%d", share.Weight)
		}
	}
	cache, prompts := "cold", "text"
	if c.Warm {
		cache = "warm"
	}
	switch {
	case c.RepeatedToken:
		prompts = "one token repeated"
	case c.TokenIDs:
		prompts = "token ids"
	}
	loop := fmt.Sprintf("%d clients in a closed loop", c.Clients)
	if c.Rate > 0 {
		loop = fmt.Sprintf("%g requests/s in an open loop", c.Rate)
	}
	return fmt.Sprintf("%s, %s, %s, %s cache, %v after %v of warm-up, seed %d",
		strings.Join(names, ","), loop, prompts, cache, c.Duration, c.Warmup, c.Seed)
}

// Err returns an error if requests failed or had wrong answers, arrivals were not sent,
// nothing was answered, or items alone had other scores. Requests that bench itself gave
// up are no failures.
func (r *Report) Err() error {
	var faults []error
	for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
		faults = append(faults, fmt.Errorf("%d requests failed with %s, the first: %s",
			r.Failures[kind].Count, kind, r.Failures[kind].Example))
	}
	if r.NotSent > 0 {
		faults = append(faults, fmt.Errorf("%d arrivals were not sent; too many requests were "+
			"unanswered", r.NotSent))
	}
	if r.Answered == 0 {
		faults = append(faults, errors.New("no request was answered"))
	}
	if r.Isolation != nil && r.Isolation.Error != "" {
		faults = append(faults, errors.New("isolation: "+r.Isolation.Error))
	}
	return errors.Join(faults...)
}

// WriteText writes the report as a table of two columns. Lines that do not concern the
// load are left out.
func (r *Report) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(table, name+"\t"+format+"\n",
			values...)
	}
	row("load", "%s", r.Load)
	row("requests", "%d answered in %.1f s, %d cancelled, %d not sent", r.Answered, r.Seconds,
		r.Cancelled, r.NotSent)
	for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
		row("errors: "+kind, "%d, the first: %s", r.Failures[kind].Count, r.Failures[kind].Example)
	}
	if len(r.Failures) == 0 {
		row("errors", "0")
	}
	row("items/s", "%.1f", r.ItemsPerSecond)
	from := "told by the server"
	if !r.UsageTold {
		from = "as asked for; the server does not tell"
	}
	row("tokens/s", "%.0f prompt, %.0f computed (%s)", r.PromptTokensPerSecond,
		r.ComputedTokensPerSecond, from)
	row("GFLOP/s", "%.1f if the model is Qwen3-0.6B", r.GFLOPPerSecond)
	latency := func(name string, l Latency) {
		row(name, "p50 %.1f  p95 %.1f  p99 %.1f  max %.1f  of %d", l.P50, l.P95, l.P99, l.Max, l.Requests)
	}
	latency("latency ms", r.Latency)
	if len(r.Workloads) > 1 {
		for _, name := range slices.Sorted(maps.Keys(r.Workloads)) {
			latency("  "+name, r.Workloads[name])
		}
	}
	if r.Config.Rate > 0 {
		row("send lag ms", "%.1f at most", r.LagMS)
	}
	if s := r.Server; s != nil {
		row("server", "%.0f steps, padding %.1f %%, cached tokens %.1f %%", s.Steps,
			100*s.PaddingShare, 100*s.CachedShare)
	}
	if i := r.Isolation; i != nil {
		row("isolation", "%d items alone and in their request, %.1e apart at most; %.0e allowed",
			i.Items, i.Worst, r.Config.Tolerance)
	}
	return table.Flush()
}
