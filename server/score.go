package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scored/score"
)

func (s *Server) handleScore(w http.ResponseWriter, r *http.Request) {
	m, ok := s.ready(w, r)
	if !ok {
		return
	}
	ctx, cancel, err := s.deadline(r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	defer cancel()
	begin := time.Now()
	data, err := s.readBody(ctx, w, r)
	read := time.Now()
	m.observe(score.Span{Stage: score.StageRead, RequestID: requestID(r), Start: begin, End: read, Err: err})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	b, result, err := s.score(ctx, m, requestID(r), r.Header.Values("Content-Type"), data)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	scored := time.Now()
	w.Header().Set("Server-Timing", serverTiming(read.Sub(begin), result.Timing))
	writeJSON(w, http.StatusOK, success(b, result))
	m.observe(score.Span{Stage: score.StageReply, RequestID: requestID(r), Start: scored, End: time.Now(), Rows: len(result.Scores)})
}

// score takes a body through decoding and the Scorer.
func (s *Server) score(ctx context.Context, m *Model, id string, contentType []string, data []byte) (*body, *score.Result, error) {
	b, err := decodeBody(contentType, data)
	if err != nil {
		return nil, nil, err
	}
	req, err := b.request(id, m)
	if err != nil {
		return nil, nil, err
	}
	if s.cfg.StrictEmptyItems && len(req.Items) == 0 {
		return nil, nil, score.Errorf(score.Invalid, "items", "items cannot be empty. At least one item is required.")
	}
	result, err := m.Scorer.Score(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	for _, failure := range result.ItemErrors {
		s.cfg.Metrics.failure(failure.Kind)
	}
	return b, result, nil
}

func (m *Model) observe(span score.Span) {
	if m.Observer != nil {
		m.Observer.Observe(span)
	}
}

// deadline gives the context that a request is to be answered in: the client's time in X-Request-Timeout-Ms or Envoy's
// X-Envoy-Expected-Rq-Timeout-Ms, and at most the server's.
func (s *Server) deadline(r *http.Request) (context.Context, context.CancelFunc, error) {
	limit := s.cfg.RequestTimeout
	for _, header := range []string{"X-Request-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms"} {
		text := r.Header.Get(header)
		if text == "" {
			continue
		}
		ms, err := strconv.ParseInt(text, 10, 32)
		if err != nil || ms <= 0 {
			return nil, nil, score.Errorf(score.Invalid, header, "header %s is %q; it must be a number of milliseconds above 0", header, text)
		}
		if asked := time.Duration(ms) * time.Millisecond; limit == 0 || asked < limit {
			limit = asked
		}
	}
	if limit == 0 {
		ctx, cancel := context.WithCancel(r.Context())
		return ctx, cancel, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	return ctx, cancel, nil
}

// serverTiming is the header of https://www.w3.org/TR/server-timing/: milliseconds a stage.
func serverTiming(read time.Duration, t score.Timing) string {
	var b strings.Builder
	for _, stage := range []struct {
		name string
		took time.Duration
	}{{"read", read}, {"encode", t.Encode}, {"wait", t.Wait}, {"run", t.Run}} {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(stage.name + ";dur=" + strconv.FormatFloat(float64(stage.took.Microseconds())/1000, 'f', 3, 64))
	}
	return b.String()
}
