package profile

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tracer is a device's tracer that remembers what it was told.
type tracer struct {
	mu       sync.Mutex
	calls    string
	levels   [2]int // of the last Start
	startErr error
	stopErr  error
	space    []byte
	started  chan struct{} // if not nil, told of every Start
}

func (d *tracer) Start(host, device int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls += "<"
	d.levels = [2]int{host, device}
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
	t.Run("is told the levels", func(t *testing.T) {
		d := &tracer{}
		b := newBench(t, Config{Device: d})
		for _, c := range []struct {
			host, device *int
			want         [2]int
		}{{nil, nil, [2]int{2, 1}}, {p(0), p(3), [2]int{0, 3}}} {
			b.start(Options{HostTracerLevel: c.host, DeviceTracerLevel: c.device})
			b.stop(nil)
			if d.levels != c.want {
				t.Errorf("levels %v, want %v", d.levels, c.want)
			}
		}
		if b.Start(Options{DeviceTracerLevel: p(-1)}) == nil {
			t.Error("a level of -1 is taken")
		}
	})
	t.Run("is left out", func(t *testing.T) {
		d := &tracer{}
		b := newBench(t, Config{Device: d})
		for _, start := range []*int64{nil, p(int64(2))} {
			b.start(Options{StartStep: start, DeviceTracerLevel: p(0)})
			b.run(2)
			b.stop(nil)
		}
		if d.calls != "" {
			t.Errorf("calls %q, want none", d.calls)
		}
	})
	for name, c := range map[string]struct {
		space []byte
		says  string
		rows  bool // of the device
	}{
		"loses its trace":               {nil, "lost: unexpected EOF", false},
		"complains and gives its trace": {deviceSpace(t, 0, 0), "complains: unexpected EOF", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Config{Device: &tracer{space: c.space, stopErr: io.ErrUnexpectedEOF}})
			b.start(Options{})
			b.run(2)
			b.stop(nil)
			space, err := readSpace(filepath.Join(b.Status().Dir, "host.xplane.pb"))
			if err != nil {
				t.Fatal(err)
			}
			if len(space.Warnings) != 1 || !strings.HasSuffix(space.Warnings[0], c.says) || tracedDevice(space) != c.rows {
				t.Errorf("warnings %q and rows of the device %t, want %q and %t", space.Warnings, tracedDevice(space), c.says, c.rows)
			}
		})
	}
}
