package profile

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// TestConcurrentUse: sessions begin and end while steps run, their files are whole, and
// no goroutine outlives Close.
func TestConcurrentUse(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := newBench(t, Config{Device: &tracer{}})
	end := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				b.run(1)
			}
		}
	})
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for j := range 10 {
				_ = b.Start(Options{NumSteps: p(int64(1 + i)), StartStep: p(int64(i * j))})
				b.Running()
				b.Status()
				_ = b.Stop()
			}
		})
	}
	callers.Wait()
	for err := ErrRunning; err != nil; { // the last session may still be writing
		if err = b.Start(Options{}); err != nil && !errors.Is(err, ErrRunning) {
			t.Fatal(err)
		}
	}
	close(end)
	group.Wait()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range traces(t, b.dir) {
		if _, err := readSpace(filepath.Join(dir, "host.xplane.pb")); err != nil {
			t.Error(err)
		}
	}
}
