package score

import (
	"sync/atomic"
	"time"
)

// stopwatch tells how long a device's running step has run. It needs no lock.
type stopwatch struct {
	epoch time.Time
	// since is when the running step began, in nanoseconds after epoch, by the
	// monotonic clock. It is 0 while the device is idle.
	since atomic.Int64
}

// start says that a step begins to run now.
func (w *stopwatch) start() { w.since.Store(w.now()) }

// startIdle is start if no step runs.
func (w *stopwatch) startIdle() { w.since.CompareAndSwap(0, w.now()) }

// stop says that no step runs.
func (w *stopwatch) stop() { w.since.Store(0) }

// began returns when the running step began, or epoch if none runs.
func (w *stopwatch) began() time.Time { return w.epoch.Add(time.Duration(w.since.Load())) }

// running returns for how long the running step has run. It is false if none runs.
func (w *stopwatch) running() (time.Duration, bool) {
	since := w.since.Load()
	return time.Duration(w.now() - since), since != 0
}

// now returns the nanoseconds since epoch. It is at least 1, as 0 means idle.
func (w *stopwatch) now() int64 { return max(int64(time.Since(w.epoch)), 1) }
