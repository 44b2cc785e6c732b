package profile

import (
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
)

// tracer is a device's tracer that remembers what it was told.
type tracer struct {
	mu       sync.Mutex
	calls    string
	startErr error
	stopErr  error
	space    []byte
	started  chan struct{} // if not nil, told of every Start
}

func (d *tracer) Start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls += "<"
	if d.started != nil {
		d.started <- struct{}{}
	}
	return d.startErr
}

func (d *tracer) Stop() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls += ">"
	return d.space, d.stopErr
}

func TestDeviceTracer(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := &tracer{startErr: io.ErrUnexpectedEOF}
		b := newBench(t, Config{Device: d})
		if err := b.Start(Options{}); !errors.Is(err, d.startErr) {
			t.Fatalf("Start: %v, want the device's error", err)
		}
		b.running(false)
	})
	t.Run("replaced while it waits", func(t *testing.T) {
		d := &tracer{started: make(chan struct{}, 2)}
		b := newBench(t, Config{Device: d})
		b.start(Options{StartStep: p(int64(1))})
		<-d.started
		b.start(Options{StartStep: p(int64(3)), NumSteps: p(int64(1))})
		b.run(2)
		<-d.started
		b.run(1)
		b.idle()
		if d.calls != "<><>" {
			t.Errorf("calls %q, want each start stopped before the next", d.calls)
		}
	})
	t.Run("loses its trace", func(t *testing.T) {
		b := newBench(t, Config{Device: &tracer{stopErr: io.ErrUnexpectedEOF}})
		b.start(Options{})
		b.run(2)
		b.stop(nil)
		space, err := readSpace(filepath.Join(b.Status().Dir, "host.xplane.pb"))
		if err != nil {
			t.Fatal(err)
		}
		if len(space.Warnings) != 1 {
			t.Errorf("warnings %v, want one about the device", space.Warnings)
		}
	})
}
