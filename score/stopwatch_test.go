package score

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/plan"
)

// TestStopwatch: it times the running step alone, and predicts with the flights what is
// left of them.
func TestStopwatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stopwatch{epoch: time.Now()}
		step := func(cost time.Duration) *flight {
			return &flight{Formed: &plan.Formed{Step: &Step{Bucket: Bucket{Cost: cost}}}}
		}
		fs := flights{step(10 * time.Second), step(4 * time.Second)}
		if _, runs := w.running(); runs || fs.left(w) != 14*time.Second {
			t.Errorf("running %t with %v left before the first step", runs, fs.left(w))
		}
		w.startIdle()
		time.Sleep(3 * time.Second)
		w.startIdle() // one runs already
		if took, runs := w.running(); !runs || took.Round(time.Millisecond) != 3*time.Second {
			t.Errorf("running %t for %v, want 3s", runs, took)
		}
		if left := fs.left(w).Round(time.Millisecond); left != 11*time.Second {
			t.Errorf("%v left, want 11s", left)
		}
		time.Sleep(time.Minute) // longer than predicted: the second step is left
		if left := fs.left(w); left != 4*time.Second {
			t.Errorf("%v left, want 4s", left)
		}
		fs.remove(fs[0])
		w.stop()
		if _, runs := w.running(); runs || len(fs) != 1 || fs.left(w) != 4*time.Second {
			t.Errorf("running %t with %d steps after the first", runs, len(fs))
		}
	})
}

// TestJudge: a device is lost by an error that says so, and by a probe that fails after
// many others; no request loses it.
func TestJudge(t *testing.T) {
	h := &health{running: &stopwatch{epoch: time.Now()}, watchdog: time.Minute}
	if !h.judge(ErrLost, false) || h.judge(nil, false) || h.fails() {
		t.Error("a lost device is not seen, or a good step does not end the failures")
	}
	fault := errors.New("fault")
	for range lostFailures {
		if h.judge(fault, false) {
			t.Fatal("a client's request loses the device")
		}
	}
	if !h.fails() || h.check() == nil {
		t.Error("a device whose steps all fail counts as good")
	}
	if h.judge(ErrMemory, true) || !h.judge(fault, true) {
		t.Error("a probe must lose the device, unless it lacks memory")
	}
}
