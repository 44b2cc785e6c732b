package profile

import (
	"sync"
	"time"
)

// session is one recording, from Start until its files are on disk. Its recorder gets
// the spans. Its one goroutine, run, owns the device tracer and the files:
//
//	due closed       the goroutine starts the tracer
//	ended closed     it stops the tracer
//	sealed closed    it builds the trace and writes the files
//	done closed      path and err are set, and the folder is closed
type session struct {
	p      *Profiler
	plan   plan
	folder *folder
	rec    *recorder

	stopOnce sync.Once
	stopped  chan struct{} // closed by stop
	done     chan struct{} // closed when the files are on disk, or will never be

	// Only the goroutine may use the fields below, until done is closed.
	traced   bool      // the device tracer runs
	tracing  time.Time // when it was started
	warnings []string  // what is missing in the trace
	path     string    // folder of the files
	err      error     // why the files are not on disk
}

// newSession returns a session whose goroutine has not started. latest is the number of
// the last step that ended.
func newSession(p *Profiler, pl plan, f *folder, latest int64) *session {
	spans := spanLog{maxEvents: p.cfg.MaxEvents, maxBytes: p.cfg.MaxBytes}
	return &session{p: p, plan: pl, folder: f, rec: newRecorder(pl, spans, latest, &p.live),
		stopped: make(chan struct{}), done: make(chan struct{})}
}

// launch starts the session's goroutine, which closes the folder. If the device tracer
// is due at once, it starts that first, so that the client gets its error; nothing is
// started then.
func (s *session) launch() error {
	select {
	case <-s.rec.due:
		if s.p.cfg.Device != nil && s.plan.device > 0 {
			if err := s.trace(); err != nil {
				return err
			}
		}
	default:
	}
	if !s.plan.blind {
		s.p.live.Store(s.rec)
	}
	go s.run()
	return nil
}

// cancel drops the session if it has not begun, and returns when its goroutine has
// ended. Otherwise it returns false.
func (s *session) cancel() bool {
	if !s.rec.cancel() {
		return false
	}
	<-s.done
	return true
}

// stop ends the recording, if it has not ended by itself. It does not wait for the
// files.
func (s *session) stop() {
	s.rec.stop()
	s.stopOnce.Do(func() { close(s.stopped) })
}

// status returns the status of a session whose files are not on disk yet.
func (s *session) status() Status {
	st := s.rec.status()
	st.Dir = s.folder.dir
	return st
}
