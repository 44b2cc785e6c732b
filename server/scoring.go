package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"scored/score"
	"scored/sglang/python"
)

// scoring answers requests for scores, in every dialect: it admits them, reads their
// bodies, has the model's Scorer score them, and writes answers, errors and spans.
type scoring struct {
	model   *modelSlot
	errors  *errorWriter
	bodies  *bodyReader
	clients clients
	timeout time.Duration // Config.RequestTimeout
	salts   salts
	metrics *Metrics
}

// route adds the paths that score to the router. While the model is loading, a path that
// only classifiers serve answers 503, because the kind of the model is not known yet.
func (s *scoring) route(r *router, all []route) {
	for _, at := range all {
		handle := func(w http.ResponseWriter, r *http.Request) {
			if m := s.model.Load(); at.classes && m != nil && !m.classifies() {
				s.errors.write(w, r, errNotServed(r.URL.Path))
				return
			}
			s.handle(w, r, at.dialects)
		}
		for _, method := range append(at.methods, http.MethodPost) {
			r.MethodFunc(method, at.path, handle)
		}
	}
}

// handle answers a request for scores in one of the dialects. It admits the request:
// readiness, the client's share and the deadline are looked at before a byte of the body
// is read. A refusal has the shape of the last dialect: only the body would tell which
// one the client speaks.
func (s *scoring) handle(w http.ResponseWriter, r *http.Request, dialects []dialect) {
	refuse := func(err error) { s.errors.writeAs(w, r, err, dialects[len(dialects)-1].shape) }
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
	ctx, cancel, err := withDeadline(r, s.timeout)
	if err != nil {
		refuse(err)
		return
	}
	defer cancel()
	share := s.bodies.hold()
	defer share.release()
	s.exchange(ctx, w, r, m, share, dialects)
}

// exchange reads the body of an admitted request and answers it. It always reports two
// spans to the model's Observer: the body's, and as the request's last one the reply,
// also after an error.
func (s *scoring) exchange(ctx context.Context, w http.ResponseWriter, r *http.Request,
	m *loaded, share *holding, dialects []dialect) {
	chosen, begin := &dialects[len(dialects)-1], time.Now()
	data, err := s.bodies.read(ctx, w, r, share, s.bodies.most)
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
		s.metrics.dialect(chosen.name)
		answered, err = s.answer(ctx, m, requestID(r), chosen, object)
	}
	last := score.Span{Stage: score.StageReply, RequestID: requestID(r), Start: time.Now()}
	if err != nil {
		if arrived {
			w.Header().Set("Server-Timing", serverTiming(stage{"read", read.Sub(begin)},
				stage{"rest", time.Since(read)}))
		}
		status := s.errors.writeAs(w, r, err, chosen.shape)
		// Only the status: messages of refused bodies hold parts of prompts, which no
		// trace may show.
		last.Err = fmt.Errorf("answered with status %d", status)
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

// answer reads a body in the dialect d and scores it. Salts are made here, behind all
// dialects, so that none can forget to.
func (s *scoring) answer(ctx context.Context, m *loaded, id string, d *dialect,
	o *python.Object) (*reply, error) {
	parts, err := d.parts(m, id, o)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		p.request.Salt = s.salts.of(ctx, p.request.Salt)
	}
	if d.join != nil {
		return s.scoreAll(ctx, m, parts, d.join)
	}
	return s.score(ctx, m, parts[0])
}

// reply is the answer to a request, or a part of one, that has been scored.
type reply struct {
	body   func() string // makes the JSON, when it is written and not before
	rows   int
	timing score.Timing
}

// score scores one part. Items that failed by themselves are counted, and are part of
// the answer.
func (s *scoring) score(ctx context.Context, m *loaded, p part) (*reply, error) {
	result, err := m.Scorer.Score(ctx, p.request)
	if err != nil {
		return nil, err
	}
	for _, failure := range result.ItemErrors {
		s.metrics.failure(failure.Kind)
	}
	body, err := p.answer(result)
	if err != nil {
		return nil, err
	}
	return &reply{body: body, rows: len(result.Scores), timing: result.Timing}, nil
}
