package score

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/scoretest"
)

// switchable fails every step until it is healed.
type switchable struct {
	err    error
	healed atomic.Bool
}

func (s *switchable) fault(*Step) error {
	if s.healed.Load() {
		return nil
	}
	return s.err
}

func isLost(s *Scorer) bool {
	select {
	case <-s.Lost():
		return true
	default:
		return false
	}
}

// TestLostDevice: a sticky error ends everything in hand at once, on the other device
// too, and says why.
func TestLostDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engines := newReplicas(t, 2, Config{})
		hang := make(chan struct{})
		engines[0].Free, engines[1].Free = hang, hang
		cause := fmt.Errorf("%w: CUDA_ERROR_LAUNCH_FAILED", ErrLost)
		engines[0].Fault = (&switchable{err: cause}).fault
		engines[1].Fault = engines[0].Fault
		answered := make(chan error, 10)
		for i := range 10 { // two run, eight wait
			go func() {
				_, err := s.Score(context.Background(), tokenRequest(nil, ids(i+1, 5)))
				answered <- err
			}()
		}
		synctest.Wait()
		if isLost(s) || s.Err() != nil || s.Alive() != nil {
			t.Fatal("lost before any step has failed")
		}
		hang <- struct{}{} // one of the two steps ends; the other one never does
		for range 10 {
			err := <-answered
			wantKind(t, err, Unavailable)
			if !strings.Contains(err.Error(), "another replica") {
				t.Errorf("error %v does not say what to do", err)
			}
		}
		if !isLost(s) || !errors.Is(s.Err(), cause) || s.Alive() == nil {
			t.Errorf("lost %t, error %v, alive %v", isLost(s), s.Err(), s.Alive())
		}
		wantKind(t, s.Ready(), Unavailable)
		_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
		wantKind(t, err, Unavailable)
		_, err = s.Flush()
		wantKind(t, err, Unavailable)
		err = s.BetweenSteps(context.Background(), func() error { t.Error("called for a lost device"); return nil })
		wantKind(t, err, Unavailable)
		if load := s.Load(); load.Requests != 0 || load.WaitingRows != 0 {
			t.Errorf("load %+v, want nothing in hand", load)
		}
		close(hang)
	})
}

// TestFailingDeviceIsProbed: after some failures in a row the device is asked without any
// traffic, and either works again or is lost.
func TestFailingDeviceIsProbed(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		heals bool // after five seconds
		lost  bool
	}{
		"heals":           {errors.New("transient"), true, false},
		"stays":           {errors.New("gone for good"), false, true},
		"short of memory": {errors.Join(errors.New("RESOURCE_EXHAUSTED"), ErrMemory), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				device := &switchable{err: c.err}
				s := newTestScorer(t, &scoretest.Fake{Fault: device.fault}, Config{})
				for range manyFailures {
					_, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5)))
					wantKind(t, err, Internal)
				}
				wantKind(t, s.Ready(), Unavailable)
				time.Sleep(5*time.Second + time.Millisecond)
				if isLost(s) || s.Alive() != nil {
					t.Fatalf("lost after %d failures and a few probes", manyFailures)
				}
				device.healed.Store(c.heals)
				time.Sleep(10 * time.Second)
				if ready := s.Ready() == nil; ready != c.heals || isLost(s) != c.lost || (s.Alive() != nil) != c.lost {
					t.Errorf("ready %t, lost %t, alive %v", ready, isLost(s), s.Alive())
				}
			})
		})
	}
}

// TestPoisonIsNotALostDevice: requests whose steps always fail do not end the process, in
// whatever number, as the probes between them work.
func TestPoisonIsNotALostDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := errors.New("engine does not like this")
		s := newTestScorer(t, &scoretest.Fake{Fault: func(step *Step) error {
			time.Sleep(10 * time.Millisecond)
			if len(step.Rows) == 1 && len(step.Rows[0].Tokens) == 1 {
				return nil
			}
			return poison
		}}, Config{})
		for range 50 * lostFailures {
			_, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5)))
			if err == nil || isLost(s) {
				t.Fatalf("error %v, lost %t", err, isLost(s))
			}
		}
		time.Sleep(2 * time.Second)
		if err := s.Ready(); err != nil {
			t.Errorf("not ready after a probe: %v", err)
		}
	})
}

// TestHangingDeviceIsNotAlive: the process cannot heal from a step that never ends.
func TestHangingDeviceIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &scoretest.Fake{Free: make(chan struct{})}
		s := newTestScorer(t, engine, Config{Watchdog: time.Minute})
		go func() { _, _ = s.Score(context.Background(), tokenRequest(nil, ids(1, 5))) }()
		time.Sleep(59 * time.Second)
		if err := s.Alive(); err != nil {
			t.Errorf("within the watchdog's time: %v", err)
		}
		time.Sleep(2 * time.Second)
		wantKind(t, s.Alive(), Unavailable)
		close(engine.Free)
	})
}
