package bench

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// counters are a server's Prometheus series: name with labels to value. nil if the server has no /metrics.
type counters map[string]float64

// metrics reads the server's counters.
func (c *client) metrics(ctx context.Context) counters {
	data, err := c.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil // an extra that servers need not have
	}
	all := counters{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			all[line[:at]] = v
		}
	}
	return all
}

// since adds up how far the series of a name have come. part, if not "", must be in the labels.
func (c counters) since(before counters, name, part string) (sum float64) {
	for series, v := range c {
		base, labels, _ := strings.Cut(series, "{")
		if base == name && strings.Contains(labels, part) {
			sum += v - before[series]
		}
	}
	return sum
}
