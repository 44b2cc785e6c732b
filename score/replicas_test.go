package score

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/scoretest"
)

func newReplicas(t *testing.T, n int, cfg Config) (*Scorer, []*scoretest.Fake) {
	t.Helper()
	return replicasOf(t, n, cfg, testBuckets())
}

func replicasOf(t *testing.T, n int, cfg Config, buckets []Bucket) (*Scorer, []*scoretest.Fake) {
	t.Helper()
	cfg.Vocab, cfg.ContextLength = 1000, 256
	var own []*scoretest.Fake
	var engines []Engine
	for range n {
		e := &scoretest.Fake{Shapes: buckets, CacheSize: 4}
		own, engines = append(own, e), append(engines, e)
	}
	s, err := New(cfg, nil, engines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, own
}

// TestReplicas: every request is answered right, every engine gets work, and step numbers
// are given once.
func TestReplicas(t *testing.T) {
	var mu sync.Mutex
	devices, numbers := map[int]bool{}, map[int64]bool{}
	s, engines := newReplicas(t, 3, Config{Observer: observerFunc(func(span Span) {
		if span.Stage == StageStep {
			mu.Lock()
			defer mu.Unlock()
			devices[span.Device] = true
			if numbers[span.Number] {
				t.Errorf("step number %d is given twice", span.Number)
			}
			numbers[span.Number] = true
		}
	})})
	for _, e := range engines {
		e.Fault = func(*Step) error { time.Sleep(time.Millisecond); return nil } // long enough for others to take work
	}
	askAtOnce(t, s, 100, 10)
	if len(devices) != 3 {
		t.Errorf("steps ran on %d of 3 devices", len(devices))
	}
	if load := s.Load(); load.RunningRows != 0 || load.WaitingRows != 0 {
		t.Errorf("load %+v after the last answer, want nothing in hand", load)
	}
	if n, err := s.Flush(); err != nil || n < 3 {
		t.Errorf("flush dropped %d prefixes with error %v, want one of each device at least", n, err)
	}
	if n, err := s.Flush(); err != nil || n != 0 {
		t.Errorf("second flush dropped %d prefixes with error %v, want none", n, err)
	}
}

// TestOneHangingReplica turns readiness red: the rows it holds are lost to their clients.
func TestOneHangingReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engines := newReplicas(t, 2, Config{Watchdog: time.Minute})
		hang := make(chan struct{})
		for _, e := range engines {
			e.Free = hang
		}
		go func() { _, _ = s.Score(context.Background(), tokenRequest(nil, ids(1, 5))) }()
		time.Sleep(61 * time.Second)
		wantKind(t, s.Ready(), Unavailable)
		close(hang)
	})
}

func TestUnlikeReplicas(t *testing.T) {
	a, b := &scoretest.Fake{Shapes: testBuckets()}, &scoretest.Fake{Shapes: testBuckets()[1:]}
	if _, err := New(Config{Vocab: 10, ContextLength: 256}, nil, a, b); err == nil {
		t.Error("New took engines with different buckets")
	}
	if _, err := New(Config{Vocab: 10, ContextLength: 256}, nil); err == nil {
		t.Error("New took no engine")
	}
}

// TestOutOfMemory: a step that does not fit the device's memory runs in halves, once; one
// row alone gets the error.
func TestOutOfMemory(t *testing.T) {
	for name, c := range map[string]struct {
		most  int // rows the device has room for
		works bool
	}{"all": {8, true}, "half": {4, true}, "less than half": {3, false}} {
		t.Run(name, func(t *testing.T) {
			engine := &scoretest.Fake{Fault: func(step *Step) error {
				if len(step.Rows) > c.most {
					return errors.Join(errors.New("RESOURCE_EXHAUSTED"), ErrMemory)
				}
				return nil
			}}
			s := newTestScorer(t, engine, Config{})
			req := tokenRequest(ids(1, 30), ids(1, 3), ids(2, 3), ids(3, 3), ids(4, 3), ids(5, 3), ids(6, 3), ids(7, 3), ids(8, 3))
			result, err := s.Score(t.Context(), req)
			if !c.works {
				wantKind(t, err, Internal)
				if !errors.Is(err, ErrMemory) {
					t.Errorf("error %v does not say that memory was short", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantScores(t, req, result)
			if s.Ready() != nil {
				t.Error("not ready after a step that worked in halves")
			}
		})
	}
}

func TestHalves(t *testing.T) {
	both := halves(&Step{Prefixes: []Prefix{{Slots: []int32{4, 5, 6}, New: []int32{8, 9}}}, Rows: make([]Row, 3)})
	first, second := both[0].Prefixes[0], both[1].Prefixes[0]
	if len(first.New) != 2 || len(both[0].Rows) != 1 || len(second.New) != 0 || !slices.Equal(second.Slots, first.Slots) || len(both[1].Rows) != 2 {
		t.Errorf("halves %+v: the first must compute the prefix, the second use it", both)
	}
}

// TestRequestsGoWhereTheirPrefixIs: a request runs on the device that holds its prefix,
// while that is free, and on another that has nothing else to do while it is not.
func TestRequestsGoWhereTheirPrefixIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var devices []int
		s, engines := newReplicas(t, 2, Config{Observer: observerFunc(func(span Span) {
			if span.Stage == StageStep {
				mu.Lock()
				defer mu.Unlock()
				devices = append(devices, span.Device)
			}
		})})
		ask := func(seed int) {
			if _, err := s.Score(context.Background(), tokenRequest(ids(seed, 30), ids(seed+1, 5), ids(seed+2, 5))); err != nil {
				t.Error(err)
			}
		}
		for seed := range 4 { // whatever device takes a query first has it from then on
			ask(seed)
			synctest.Wait()
			mu.Lock()
			first := devices[len(devices)-1]
			mu.Unlock()
			for range 3 {
				ask(seed)
			}
			mu.Lock()
			for _, device := range devices[len(devices)-3:] {
				if device != first {
					t.Errorf("query %d was computed on device %d, and a request with it ran on %d", seed, first, device)
				}
			}
			mu.Unlock()
		}
		mu.Lock()
		holder := devices[len(devices)-1]
		mu.Unlock()
		hang := make(chan struct{})
		engines[holder].Free = hang
		var all sync.WaitGroup
		all.Go(func() { ask(3) })
		synctest.Wait() // the holder is at a step that does not end
		ask(3)
		mu.Lock()
		if last := devices[len(devices)-1]; last == holder {
			t.Error("a request waits for the device that has its prefix while the other is idle")
		}
		mu.Unlock()
		close(hang)
		all.Wait()
	})
}
