package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// scoreDialect is sglang-jax's own.
func scoreDialect() dialect {
	return dialect{name: "sglang", fault: envelope,
		read: func(s *Server, m *Model, id string, o *python.Object) ([]part, error) {
			b, err := readScore(o)
			if err != nil {
				return nil, err
			}
			req, err := b.request(id, m)
			if err != nil {
				return nil, err
			}
			if s.cfg.StrictEmptyItems && len(req.Items) == 0 {
				return nil, score.Errorf(score.Invalid, "items", sglang.ItemsEmpty)
			}
			if err := m.render(req); err != nil {
				return nil, err
			}
			answer := func(result *score.Result) (func() string, error) {
				return func() string { return success(b, result, s.words) }, nil
			}
			return []part{{request: req, answer: answer}}, nil
		}}
}

// reply is the answer to a request, or a part of one, that has been scored.
type reply struct {
	body   func() string // JSON
	rows   int
	timing score.Timing
}

// handle answers a request for scores in one of the dialects. It handles what they
// share: readiness, deadline, body, errors and spans. Once it has begun to read the
// body, the request's last span is the reply, whatever the answer.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, dialects []dialect) {
	chosen := &dialects[len(dialects)-1]
	refuse := func(err error) int { return s.writeErrorAs(w, r, err, chosen.fault) }
	m := s.model.Load()
	if m == nil {
		refuse(errLoading())
		return
	}
	leave, err := s.clients.enter(r)
	if err != nil {
		refuse(err)
		return
	}
	defer leave()
	ctx, cancel, err := s.deadline(r)
	if err != nil {
		refuse(err)
		return
	}
	defer cancel()
	begin := time.Now()
	share := &holding{of: &s.held}
	defer share.release()
	data, err := s.readBody(ctx, w, r, share, s.cfg.MaxBody)
	read := time.Now()
	m.observe(score.Span{Stage: score.StageRead, RequestID: requestID(r), Start: begin, End: read,
		Err: err})
	arrived := err == nil
	var object *python.Object
	if err == nil {
		object, err = decodeObject(r.Header.Values("Content-Type"), data)
	}
	var answered *reply
	if err == nil {
		chosen = dialectOf(dialects, object)
		s.cfg.Metrics.dialect(chosen.name)
		answered, err = s.answer(ctx, m, requestID(r), chosen, object)
	}
	last := score.Span{Stage: score.StageReply, RequestID: requestID(r), Start: time.Now()}
	if err != nil {
		if arrived {
			w.Header().Set("Server-Timing", serverTiming(stage{"read", read.Sub(begin)},
				stage{"rest", time.Since(read)}))
		}
		// Only the status: messages of refused bodies hold parts of prompts, which no
		// trace may show.
		last.Err = fmt.Errorf("answered with status %d", refuse(err))
	} else {
		t := answered.timing
		w.Header().Set("Server-Timing", serverTiming(stage{"read", read.Sub(begin)},
			stage{"encode", t.Encode}, stage{"wait", t.Wait}, stage{"run", t.Run}))
		writeJSON(w, http.StatusOK, answered.body())
		last.Rows = answered.rows
	}
	last.End = time.Now()
	m.observe(last)
}

// answer reads a body in the dialect d and scores it.
func (s *Server) answer(ctx context.Context, m *Model, id string, d *dialect,
	o *python.Object) (*reply, error) {
	parts, err := d.parts(s, m, id, o)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		p.request.Salt = s.prefixSalt(ctx, p.request.Salt)
	}
	if d.join != nil {
		return s.scoreAll(ctx, m, parts, d.join)
	}
	return s.score(ctx, m, parts[0])
}

// score scores one part.
func (s *Server) score(ctx context.Context, m *Model, p part) (*reply, error) {
	result, err := m.Scorer.Score(ctx, p.request)
	if err != nil {
		return nil, err
	}
	for _, failure := range result.ItemErrors {
		s.cfg.Metrics.failure(failure.Kind)
	}
	body, err := p.answer(result)
	if err != nil {
		return nil, err
	}
	return &reply{body: body, rows: len(result.Scores), timing: result.Timing}, nil
}

// observe reports a span to the model's Observer, if there is one.
func (m *Model) observe(span score.Span) {
	if m.Observer != nil {
		m.Observer.Observe(span)
	}
}

// deadline returns the context in which a request must be answered. Its limit is the
// client's, from X-Request-Timeout-Ms or Envoy's X-Envoy-Expected-Rq-Timeout-Ms, and at
// most the server's.
func (s *Server) deadline(r *http.Request) (context.Context, context.CancelFunc, error) {
	limit := s.cfg.RequestTimeout
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
	if limit == 0 {
		ctx, cancel := context.WithCancel(r.Context())
		return ctx, cancel, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	return ctx, cancel, nil
}

// stage is a part of a request's time.
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
