package profile

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// tracerWait bounds how long a tracer waits for the steps under way. Steps take milliseconds; one that takes longer
// than this hangs.
const tracerWait = 30 * time.Second

// deviceTracer starts and stops Config.Device between steps.
type deviceTracer struct {
	device  Device
	between func(ctx context.Context, do func() error) error

	mu   sync.Mutex // held while device is called
	left bool       // a session has left the tracer running, as no place was found to stop it
}

// start starts the tracer and says when it was started. One that an earlier session had to leave running is stopped
// first.
func (t *deviceTracer) start(host, device int) (at time.Time, err error) {
	err = t.atRest(func() error {
		if t.left {
			t.left = false
			_, _ = t.device.Stop() // that session has told of its loss
		}
		at = time.Now()
		return t.device.Start(host, device)
	})
	return at, err
}

// stop stops the tracer and returns what it saw, a serialized XSpace, or nil.
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

// atRest calls do while the device has nothing to do.
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
