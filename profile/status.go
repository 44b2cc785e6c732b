package profile

// State is what a Profiler is doing.
type State string

// A session goes through these states in this order.
const (
	Idle      State = "idle"
	Armed     State = "armed"     // accepted; its first step has not come
	Recording State = "recording" // in progress
	Writing   State = "writing"   // nothing more is recorded; the files are being written
)

// Status is a snapshot of the current session or, when idle, of the last one.
type Status struct {
	State State
	// Dir is the folder of the two files; "" if there are none. While a session lasts
	// it is the output folder, in which they will get a folder of their own.
	Dir       string
	Steps     int64 // steps recorded
	Events    int   // spans recorded
	Dropped   int64 // spans left out because of MaxEvents or MaxBytes
	Truncated bool  // spans are missing, or MaxDuration ended the session
	Err       error // why the last trace was not written
}

// Status returns a snapshot. It waits for no step and no file.
func (p *Profiler) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return p.current.status()
	}
	if p.last == nil {
		return Status{State: Idle}
	}
	st := p.last.status()
	st.State, st.Dir, st.Err = Idle, p.last.path, p.last.err
	return st
}
