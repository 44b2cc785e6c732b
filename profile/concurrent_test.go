package profile

import (
	"path/filepath"
	"runtime"
	"scored/score"
	"sync"
	"testing"
	"time"
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
				b.Start(Options{NumSteps: p(int64(1 + i)), StartStep: p(int64(i * j))})
				b.Running()
				b.Status()
				b.Stop()
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

func BenchmarkObserveIdle(b *testing.B) {
	profiler := New(Config{DefaultDir: b.TempDir()})
	span := score.Span{Stage: score.StageWait, RequestID: "request-1"}
	for b.Loop() {
		profiler.Observe(span)
	}
}

func BenchmarkObserveRecording(b *testing.B) {
	profiler := New(Config{DefaultDir: b.TempDir(), MaxEvents: 1 << 30, MaxBytes: 1 << 40})
	if err := profiler.Start(Options{}); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	span := score.Span{Stage: score.StageWait, RequestID: "request-1", Start: now, End: now}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%500_000 == 0 { // as much as a session keeps
			profiler.current.spans = spanLog{maxEvents: 1 << 30, maxBytes: 1 << 40}
		}
		profiler.Observe(span)
	}
	b.StopTimer()
	profiler.current.spans = spanLog{}
	if err := profiler.Close(); err != nil {
		b.Fatal(err)
	}
}
