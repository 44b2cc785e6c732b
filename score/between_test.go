package score

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBetweenSteps: under load on two devices no step runs while the function does,
// requests are answered, and the devices go on afterwards.
func TestBetweenSteps(t *testing.T) {
	s, engines := newReplicas(t, 2, Config{})
	var running, steps, quiet atomic.Int64
	for _, e := range engines {
		e.Fault = func(*Step) error {
			running.Add(1)
			defer running.Add(-1)
			steps.Add(1)
			time.Sleep(200 * time.Microsecond)
			return nil
		}
	}
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 3 { // askers of a place, beside each other
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := s.BetweenSteps(context.Background(), func() error {
					if quiet.Add(1) != 1 {
						t.Error("two have the devices at once")
					}
					defer quiet.Add(-1)
					before := steps.Load()
					time.Sleep(300 * time.Microsecond) // a step would begin in this time
					if n := running.Load(); n != 0 || steps.Load() != before {
						t.Errorf("%d steps run and %d have begun, want none", n, steps.Load()-before)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	askAtOnce(t, s, 40, 10)
	close(done)
	asking.Wait()
	if _, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5))); err != nil {
		t.Errorf("request after all: %v", err)
	}
}

// TestBetweenStepsGivesUp: who waits for a step that does not end is told so in time, and
// lets the others go on.
func TestBetweenStepsGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engines := newReplicas(t, 2, Config{})
		hang := make(chan struct{})
		engines[0].Free, engines[1].Free = hang, hang
		answered := make(chan error, 2)
		ask := func() {
			_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
			answered <- err
		}
		go ask()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		err := s.BetweenSteps(ctx, func() error { t.Error("called beside a step"); return nil })
		wantKind(t, err, Deadline)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("gave up after %s, want a second", took)
		}
		go ask()
		synctest.Wait()
		if load := s.Load(); load.RunningRows != 2 {
			t.Errorf("%d rows run, want 2: the other device may work again", load.RunningRows)
		}
		close(hang)
		if err := errors.Join(<-answered, <-answered); err != nil {
			t.Error(err)
		}
		failed := errors.New("no")
		if err := s.BetweenSteps(context.Background(), func() error { return failed }); !errors.Is(err, failed) {
			t.Errorf("error %v, want the function's own", err)
		}
		s.Close()
		if err := s.BetweenSteps(context.Background(), func() error { return nil }); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
}
