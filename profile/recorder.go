package profile

import (
	"sync"
	"sync/atomic"
	"time"

	"scored/score"
)

// phase is how far a recorder has come. Phases follow each other in this order; ready
// and waiting may be skipped.
type phase int

const (
	waiting   phase = iota // armed; its first step is not the next one
	ready                  // armed; its first step is the next one: spans are recorded
	recording              // in progress
	closing                // the last step has ended; its requests are not all answered
	over                   // nothing more is recorded
)

// recorder keeps the spans of one session. It decides by the plan which steps belong to
// the session, and tells the session's goroutine how far it is by closing channels. Its
// methods may be called from any goroutine, and block no longer than to add a span: the
// goroutine that feeds the device calls observe.
type recorder struct {
	plan     plan
	accepted time.Time                 // when the client asked for the session
	live     *atomic.Pointer[recorder] // the profiler's; the recorder clears it when it is over

	due    chan struct{} // closed when the device tracer must start: at the begin, or a step before
	ended  chan struct{} // closed when no more steps are recorded
	sealed chan struct{} // closed when nothing more is recorded

	// mu must be held for the fields below.
	mu    sync.Mutex
	phase phase
	isDue bool // due is closed
	recorded
	pending   map[string]bool // requests of the last step that are not answered yet
	cancelled bool
}

// recorded is what a session has recorded.
type recorded struct {
	begin    time.Time // when recording began: time zero of the trace
	end      time.Time // when the last step ended, or recording stopped
	steps    int64
	spans    spanLog
	timedOut bool // Config.MaxDuration ended the session
}

// truncated reports whether spans of the session are missing.
func (r *recorded) truncated() bool { return r.timedOut || r.spans.dropped > 0 }

// newRecorder returns the recorder of a session that is accepted now. latest is the
// number of the last step that ended. live does not lead to it yet.
func newRecorder(pl plan, spans spanLog, latest int64, live *atomic.Pointer[recorder]) *recorder {
	r := &recorder{
		plan: pl, accepted: time.Now(), live: live, recorded: recorded{spans: spans},
		due: make(chan struct{}), ended: make(chan struct{}), sealed: make(chan struct{}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !pl.armed {
		r.enter(recording, r.accepted)
	} else if latest+1 >= pl.from {
		r.enter(ready, r.accepted)
	}
	if r.soon(latest) {
		r.prepare()
	}
	return r
}

// enter begins recording. r.mu must be held.
func (r *recorder) enter(next phase, begin time.Time) {
	r.phase, r.begin = next, begin
	r.prepare()
}

// soon reports whether the session's first step is the next one or the one after it, if
// latest was the last to end. The device tracer starts then, because it can start only
// between two steps, and the next step may have begun already. Its events from before
// the recording are cut off.
func (r *recorder) soon(latest int64) bool { return latest+2 >= r.plan.from }

// prepare lets the device tracer start. r.mu must be held.
func (r *recorder) prepare() {
	if !r.isDue {
		r.isDue = true
		close(r.due)
	}
}

// observe records a span that has just ended, and advances the phase. A step counts if
// it has the number that the session waits for, or a later one, and began after the
// session was accepted. A request's span counts if it ended after the begin.
func (r *recorder) observe(span *score.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	isStep := span.Stage == score.StageStep
	counts := isStep && span.Number >= r.plan.from && !span.Start.Before(r.accepted)
	if r.phase == waiting {
		switch {
		case counts: // it was armed too late to prepare
			r.enter(recording, span.Start)
		case isStep && span.Number+1 >= r.plan.from:
			r.enter(ready, span.End)
			return
		case isStep && r.soon(span.Number):
			r.prepare()
			return
		default:
			return
		}
	}
	if r.phase == over || isStep && !counts || span.End.Before(r.begin) {
		return
	}
	if !isStep {
		r.spans.add(span)
		r.answered(span)
		return
	}
	if r.phase == closing {
		return
	}
	r.phase = recording
	if r.steps < r.plan.limit || r.plan.limit == unlimited {
		r.steps++
		r.spans.add(span)
	}
	if r.steps == r.plan.limit {
		r.close(span)
	}
}

// close ends the recording of steps after the last one. r.mu must be held.
func (r *recorder) close(last *score.Span) {
	r.phase, r.end = closing, last.End
	close(r.ended)
	r.pending = map[string]bool{}
	for _, id := range last.Requests {
		r.pending[id] = true
	}
	if len(r.pending) == 0 {
		r.finish(last.End)
	}
}

// answered ends the recording when the last request of the last step is answered. r.mu
// must be held.
func (r *recorder) answered(span *score.Span) {
	if r.phase != closing || span.Stage != score.StageReply {
		return
	}
	delete(r.pending, span.RequestID)
	if len(r.pending) == 0 {
		r.finish(r.end)
	}
}

// finish ends the recording. r.mu must be held.
func (r *recorder) finish(end time.Time) {
	if r.phase == over {
		return
	}
	if r.phase != closing {
		r.end = end
		close(r.ended)
	}
	r.phase = over
	r.live.CompareAndSwap(r, nil)
	close(r.sealed)
}

// armed reports whether the session has not begun yet.
func (r *recorder) armed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase < recording
}

// cancel ends the recording for good if it has not begun. Otherwise it returns false.
func (r *recorder) cancel() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase >= recording {
		return false
	}
	r.cancelled = true
	r.finish(time.Now())
	return true
}

// stop ends the recording, if it has not ended by itself.
func (r *recorder) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(time.Now())
}

// expire ends a recording that has lasted Config.MaxDuration.
func (r *recorder) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase < closing {
		r.timedOut = true
		r.finish(time.Now())
	}
}

// seal ends the recording if the last requests are not answered in time.
func (r *recorder) seal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(r.end)
}

// take returns what was recorded, and keeps the counts alone: spans may take much
// memory. It must be called once, after sealed is closed. It returns false if the
// session was cancelled.
func (r *recorder) take() (all recorded, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all = r.recorded
	r.spans.chunks = nil
	return all, !r.cancelled
}

// status returns the status of a session whose files are not on disk yet, without its
// folder.
func (r *recorder) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Status{Steps: r.steps, Events: r.spans.events, Dropped: r.spans.dropped,
		Truncated: r.truncated()}
	switch r.phase {
	case waiting, ready:
		st.State = Armed
	case recording, closing:
		st.State = Recording
	case over:
		st.State = Writing
	}
	return st
}
