package profile

import (
	"sync"
	"time"

	"scored/score"
)

// session is one recording, from Start until its files are on disk. observe receives
// spans. The session's one goroutine, run, owns the device tracer and the files.
type session struct {
	p        *Profiler
	plan     plan
	folder   *folder
	accepted time.Time

	due     chan struct{} // closed when the device tracer must start: at the begin, or a step before
	ended   chan struct{} // closed when no more steps are recorded
	sealed  chan struct{} // closed when nothing more is recorded
	stopped chan struct{} // closed by stop
	done    chan struct{} // closed when the files are on disk, or will never be

	// Only the goroutine may use the fields below, until done is closed.
	traced   bool      // the device tracer runs
	tracing  time.Time // when it was started
	warnings []string  // what is missing in the trace
	path     string    // folder of the files
	err      error     // why the files are not on disk

	// mu must be held for the fields below.
	mu        sync.Mutex
	phase     phase
	isDue     bool      // due is closed
	begin     time.Time // when recording began: time zero of the trace
	end       time.Time // when the last step ended, or recording stopped
	steps     int64
	spans     spanLog
	pending   map[string]bool // requests of the last step that are not answered yet
	timedOut  bool
	cancelled bool
	asked     bool // stop was called
}

// phase is how far a session has come. Phases follow each other in this order; ready
// and waiting may be skipped.
type phase int

const (
	waiting   phase = iota // armed; its first step is not the next one
	ready                  // armed; its first step is the next one: spans are recorded
	recording              // in progress
	closing                // the last step has ended; its requests are not all answered
	over                   // nothing more is recorded
)

// newSession returns a session whose goroutine has not started.
func newSession(p *Profiler, pl plan, f *folder) *session {
	return &session{
		p: p, plan: pl, folder: f, accepted: time.Now(),
		due: make(chan struct{}), ended: make(chan struct{}), sealed: make(chan struct{}),
		stopped: make(chan struct{}), done: make(chan struct{}),
		spans: spanLog{maxEvents: p.cfg.MaxEvents, maxBytes: p.cfg.MaxBytes},
	}
}

// launch starts the session's goroutine. If recording begins at once, it starts the
// device tracer first and returns its error. latest is the number of the last step that
// ended.
func (s *session) launch(latest int64) error {
	if !s.plan.armed {
		s.enter(recording, s.accepted)
	} else if latest+1 >= s.plan.from {
		s.enter(ready, s.accepted)
	}
	if s.soon(latest) {
		s.prepare()
	}
	if s.isDue && s.p.cfg.Device != nil && s.plan.device > 0 {
		if err := s.trace(); err != nil {
			return err
		}
	}
	if !s.plan.blind {
		s.p.live.Store(s)
	}
	go s.run()
	return nil
}

// enter begins recording. s.mu must be held, unless the goroutine has not started.
func (s *session) enter(next phase, begin time.Time) {
	s.phase, s.begin = next, begin
	s.prepare()
}

// soon reports whether the session's first step is the next one or the one after it, if
// latest was the last to end. The device tracer starts then, because it can start only
// between two steps, and the next step may have begun already. Its events from before
// the recording are cut off.
func (s *session) soon(latest int64) bool { return latest+2 >= s.plan.from }

// prepare lets the device tracer start. s.mu must be held, unless the goroutine has not
// started.
func (s *session) prepare() {
	if !s.isDue {
		s.isDue = true
		close(s.due)
	}
}

// observe records a span that has just ended, and advances the phase.
func (s *session) observe(span *score.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isStep := span.Stage == score.StageStep
	counts := isStep && span.Number >= s.plan.from && !span.Start.Before(s.accepted)
	if s.phase == waiting {
		switch {
		case counts: // it was armed too late to prepare
			s.enter(recording, span.Start)
		case isStep && span.Number+1 >= s.plan.from:
			s.enter(ready, span.End)
			return
		case isStep && s.soon(span.Number):
			s.prepare()
			return
		default:
			return
		}
	}
	if s.phase == over || isStep && !counts || span.End.Before(s.begin) {
		return
	}
	if !isStep {
		s.spans.add(span)
		s.answered(span)
		return
	}
	if s.phase == closing {
		return
	}
	s.phase = recording
	if s.steps < s.plan.limit || s.plan.limit == unlimited {
		s.steps++
		s.spans.add(span)
	}
	if s.steps == s.plan.limit {
		s.close(span)
	}
}

// close ends the recording of steps after the last one. s.mu must be held.
func (s *session) close(last *score.Span) {
	s.phase, s.end = closing, last.End
	close(s.ended)
	s.pending = map[string]bool{}
	for _, id := range last.Requests {
		s.pending[id] = true
	}
	if len(s.pending) == 0 {
		s.finish(last.End)
	}
}

// answered ends the recording when the last request of the last step is answered. s.mu
// must be held.
func (s *session) answered(span *score.Span) {
	if s.phase != closing || span.Stage != score.StageReply {
		return
	}
	delete(s.pending, span.RequestID)
	if len(s.pending) == 0 {
		s.finish(s.end)
	}
}

// finish ends the recording. s.mu must be held.
func (s *session) finish(end time.Time) {
	if s.phase == over {
		return
	}
	if s.phase != closing {
		s.end = end
		close(s.ended)
	}
	s.phase = over
	s.p.live.CompareAndSwap(s, nil)
	close(s.sealed)
}

// armed reports whether the session has not begun yet.
func (s *session) armed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase < recording
}

// cancel drops the session if it has not begun, and returns when its goroutine has
// ended. Otherwise it returns false.
func (s *session) cancel() bool {
	s.mu.Lock()
	if s.phase >= recording {
		s.mu.Unlock()
		return false
	}
	s.cancelled = true
	s.finish(time.Now())
	s.mu.Unlock()
	<-s.done
	return true
}

// stop ends the recording, if it has not ended by itself. It does not wait for the
// files.
func (s *session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(time.Now())
	if !s.asked {
		s.asked = true
		close(s.stopped)
	}
}

// expire ends a recording that has lasted Config.MaxDuration.
func (s *session) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase < closing {
		s.timedOut = true
		s.finish(time.Now())
	}
}
