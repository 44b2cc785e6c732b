package profile

import (
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func TestConcurrentUse(t *testing.T) {
	before := runtime.NumGoroutine()
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
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before: a session's goroutine outlives Close", after, before)
	}
}
