package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scored/score"
)

// withDeadline returns the context in which a request must be answered. Its limit is the
// client's, from X-Request-Timeout-Ms or Envoy's X-Envoy-Expected-Rq-Timeout-Ms, and at
// most the server's; 0 is no limit. The caller must call cancel.
func withDeadline(r *http.Request, limit time.Duration) (context.Context, context.CancelFunc,
	error) {
	// The shorter of the two counts if a request has both.
	for _, header := range []string{"X-Request-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms"} {
		text := r.Header.Get(header)
		if text == "" {
			continue
		}
		ms, err := strconv.ParseInt(text, 10, 32)
		if err != nil || ms <= 0 {
			return nil, nil, score.Errorf(score.Invalid, header,
				"header %s is %q; it must be a number of milliseconds above 0", header, text)
		}
		if asked := time.Duration(ms) * time.Millisecond; limit == 0 || asked < limit {
			limit = asked
		}
	}
	if limit == 0 { // a context that ends when the client leaves
		ctx, cancel := context.WithCancel(r.Context())
		return ctx, cancel, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	return ctx, cancel, nil
}

// stage is a part of a request's time, under its name in Server-Timing.
type stage struct {
	name string
	took time.Duration
}

// serverTiming returns the header of https://www.w3.org/TR/server-timing/, in
// milliseconds by stage.
func serverTiming(stages ...stage) string {
	var b strings.Builder
	for _, stage := range stages {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(stage.name + ";dur=" +
			strconv.FormatFloat(float64(stage.took.Microseconds())/1000, 'f', 3, 64))
	}
	return b.String()
}
