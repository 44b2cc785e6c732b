package bench

import (
	"bytes"
	"context"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// counters are scored's own counters of /metrics, of all its traffic since it started: of
// tokens by their kind, and of steps.
type counters struct {
	prompt, cached, computed, padding, steps float64
}

// scrape reads GET /metrics. It returns nil if the server has none, or lacks these
// counters.
func (c *client) scrape(ctx context.Context) *counters {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, text, err := c.send(ctx, http.MethodGet, "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return nil
	}
	return parseCounters(text)
}

// parseCounters reads the counters from Prometheus text; nil if they are missing, as on a
// server that is not scored.
func parseCounters(text []byte) *counters {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil || families["scored_tokens_total"] == nil {
		return nil
	}
	var c counters
	for _, metric := range families["scored_tokens_total"].GetMetric() {
		value := metric.GetCounter().GetValue()
		switch label(metric, "kind") {
		case "prompt":
			c.prompt = value
		case "cached":
			c.cached = value
		case "computed":
			c.computed = value
		case "padding":
			c.padding = value
		}
	}
	for _, metric := range families["scored_steps_total"].GetMetric() { // by device and result
		c.steps += metric.GetCounter().GetValue()
	}
	return &c
}

// label returns the value of a metric's label, or "".
func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// ServerFigures is what a server's own counters say of the measured time. They include
// other clients' traffic.
type ServerFigures struct {
	Steps          float64 `json:"steps"`
	ComputedTokens float64 `json:"computed_tokens"`
	PaddingShare   float64 `json:"padding_share"` // of the tokens in steps, those that are padding
	CachedShare    float64 `json:"cached_share"`  // of prompt tokens, those not computed
}

// since returns the figures of the time from before to after; nil if either is nil.
func (after *counters) since(before *counters) *ServerFigures {
	if before == nil || after == nil {
		return nil
	}
	share := func(part, whole float64) float64 {
		if whole == 0 {
			return 0
		}
		return part / whole
	}
	computed, padding := after.computed-before.computed, after.padding-before.padding
	return &ServerFigures{Steps: after.steps - before.steps, ComputedTokens: computed,
		PaddingShare: share(padding, padding+computed),
		CachedShare:  share(after.cached-before.cached, after.prompt-before.prompt)}
}
