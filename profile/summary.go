package profile

import "slices"

// summary is the content of a trace, added up for a report. Times are in nanoseconds.
type summary struct {
	host      string
	device    string     // its name; "" if the trace has none
	window    interval   // all that shares of time refer to
	devices   int        // at least 1
	busyTime  float64    // sum over all devices
	busy      []interval // when at least one device was busy
	buckets   []*work    // steps by shape, on the host's clock, by total time, longest first
	modules   []*work    // executables from the device's own trace, in the same order
	ops       []*work    // ops without the ops that they run, in the same order
	traced    bool       // modules, ops and busy time are from a device's own trace
	stepTimes []interval // of steps, on the host's clock
	kinds     []*work    // ops by XLA's category, such as "convolution fusion"
	steps     int
	tokens    int64                 // computed, without padding
	padding   int64                 // tokens
	cached    int64                 // tokens of prompts that the KV cache had
	requests  []*served             // by duration, longest first
	stages    map[string][]interval // of all requests, by stage; may overlap
	roof      roof                  // zero: not known
	truncated bool                  // spans are missing
	warnings  []string              // of the profilers
}

// work is the sum over all runs of one executable, one op or one kind of ops.
type work struct {
	name         string
	runs         int
	time         float64 // of all runs
	longest      float64 // of one run
	flops, bytes float64 // of all runs; 0 if not known
}

// served is one request, with the time of each stage.
type served struct {
	id     string
	span   interval
	stages map[string]float64
}

// executables returns those of the device's own trace, if there is one, else our steps.
func (s *summary) executables() []*work {
	if s.traced {
		return s.modules
	}
	return s.buckets
}

// shapes returns our steps if there is a device's own trace; else executables has them.
// The host's clock gives longer times than the device's.
func (s *summary) shapes() []*work {
	if s.traced {
		return s.buckets
	}
	return nil
}

// costed returns the work whose cost is known: our steps, else the device's
// executables, else its ops.
func (s *summary) costed() []*work {
	for _, source := range [][]*work{s.buckets, s.modules, s.ops} {
		if slices.ContainsFunc(source, func(w *work) bool { return w.flops > 0 }) {
			return source
		}
	}
	return nil
}
