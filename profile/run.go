package profile

import "time"

// linger is how long a session that ends by itself waits for the answers to the last
// step's requests. Most spans of a request are reported only when it is answered.
const linger = time.Second

// run is the session's goroutine. It records, writes the files, and makes the profiler
// idle. It returns when all that the session opened is closed, and closes done last.
func (s *session) run() {
	defer close(s.done)
	defer s.folder.close()
	deviceSpace := s.record()
	all, ok := s.rec.take()
	if !ok {
		return // cancelled: whoever cancels it forgets it, too
	}
	if !s.plan.blind {
		steps := all.steps
		s.path, s.err = s.write(&all, deviceSpace)
		if s.err != nil {
			s.p.cfg.Log.Error("profile not written", "err", s.err)
		} else {
			s.p.cfg.Log.Info("profile written", "dir", s.path, "steps", steps)
		}
	}
	if s.plan.hold {
		<-s.stopped
	}
	s.p.retire(s)
}

// record runs the device tracer while the session records. It returns the tracer's
// serialized XSpace, or nil, when nothing more is recorded.
//
// The tracer stops as soon as the last step has ended, so that it records as little as
// possible of steps that are not the session's. Faults of the tracer become warnings in
// the trace, which still shows the steps and requests.
func (s *session) record() []byte {
	select {
	case <-s.rec.due:
	case <-s.rec.ended:
	}
	if !s.traced {
		s.startTracer()
	}
	limit := time.NewTimer(s.p.cfg.MaxDuration)
	defer limit.Stop()
	select {
	case <-s.rec.ended:
	case <-limit.C:
		s.rec.expire()
	}
	var space []byte
	if s.traced {
		var err error
		space, err = s.p.tracer.stop()
		switch {
		case err != nil && space == nil:
			s.warnings = append(s.warnings, "the device's trace was lost: "+err.Error())
		case err != nil:
			s.warnings = append(s.warnings, "the device's tracer complains: "+err.Error())
		}
	}
	limit.Reset(linger)
	select {
	case <-s.rec.sealed:
	case <-limit.C:
		s.rec.seal()
	}
	return space
}

// startTracer starts the device tracer of a session that was armed. It waits for the
// steps in flight, so the session may have ended before it.
func (s *session) startTracer() {
	if s.p.cfg.Device == nil || s.plan.device == 0 {
		return
	}
	select {
	case <-s.rec.ended:
		s.warnings = append(s.warnings, "the device was not traced: the session ended before its "+
			"tracer could start")
		return
	default:
	}
	if err := s.trace(); err != nil {
		s.warnings = append(s.warnings, "the device could not be traced: "+err.Error())
	}
}

// trace starts the device tracer and notes when. p.tracer calls the device only between
// two steps.
func (s *session) trace() error {
	at, err := s.p.tracer.start(s.plan.host, s.plan.device)
	s.tracing, s.traced = at, err == nil
	return err
}
