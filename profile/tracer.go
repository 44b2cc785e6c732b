package profile

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// tracerWait bounds how long a tracer waits for the steps in flight. Steps take
// milliseconds; a step that takes longer than this hangs.
const tracerWait = 30 * time.Second

// deviceTracer starts and stops Config.Device between steps. It belongs to the profiler
// and not to a session, because a tracer that could not be stopped outlasts its session.
type deviceTracer struct {
	device  Device
	between func(ctx context.Context, do func() error) error // Config.BetweenSteps

	mu   sync.Mutex // must be held to call device and to use left
	left bool       // a session could not stop the tracer, which runs still
}

// start starts the tracer with the levels of host and device, and returns when it did. It
// first stops a tracer that an earlier session could not stop.
func (t *deviceTracer) start(host, device int) (at time.Time, err error) {
	err = t.atRest(func() error {
		if t.left {
			t.left = false
			_, _ = t.device.Stop() // that session has reported the loss of its trace
		}
		at = time.Now()
		return t.device.Start(host, device)
	})
	return at, err
}

// stop stops the tracer and returns its serialized XSpace, or nil. It may return both a
// trace and an error of the device.
func (t *deviceTracer) stop() (space []byte, err error) {
	called := false
	err = t.atRest(func() (err error) {
		called = true
		space, err = t.device.Stop()
		return err
	})
	if !called {
		t.mu.Lock()
		t.left = true
		t.mu.Unlock()
		err = fmt.Errorf("its tracer could not stop between two steps: %w", err)
	}
	return space, err
}

// atRest calls do while the device has no steps, with t.mu held. It returns an error
// without calling do if steps stay in flight for tracerWait.
func (t *deviceTracer) atRest(do func() error) error {
	locked := func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		return do()
	}
	if t.between == nil {
		return locked()
	}
	ctx, cancel := context.WithTimeout(context.Background(), tracerWait)
	defer cancel()
	return t.between(ctx, locked)
}
