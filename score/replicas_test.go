package score

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newReplicas(t *testing.T, n int, cfg Config) (*Scorer, []*strictEngine) {
	t.Helper()
	cfg.Vocab, cfg.ContextLength = 1000, 256
	var own []*strictEngine
	var engines []Engine
	for range n {
		e := &strictEngine{buckets: testBuckets(), limit: 2}
		own, engines = append(own, e), append(engines, e)
	}
	s, err := New(cfg, nil, engines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, own
}

// TestReplicas: every request is answered right, every engine gets work, and step numbers are given once.
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
		e.fault = func(*Step) error { time.Sleep(time.Millisecond); return nil } // long enough for others to take work
	}
	askAtOnce(t, s, 100, 10)
	if len(devices) != 3 {
		t.Errorf("steps ran on %d of 3 devices", len(devices))
	}
	if load := s.Load(); load.RunningRows != 0 || load.WaitingRows != 0 {
		t.Errorf("load %+v after the last answer, want nothing in hand", load)
	}
	kept := 0
	for _, e := range engines {
		kept += len(e.kept)
	}
	if n, err := s.Flush(t.Context()); err != nil || n != kept || kept == 0 {
		t.Errorf("flush dropped %d prefixes with error %v, want all %d", n, err, kept)
	}
}

// TestOneHangingReplica turns readiness red: the rows it holds are lost to their clients.
func TestOneHangingReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, engines := newReplicas(t, 2, Config{Watchdog: time.Minute})
		hang := make(chan struct{})
		for _, e := range engines {
			e.free = hang
		}
		go func() { _, _ = s.Score(context.Background(), tokenRequest(nil, ids(1, 5))) }()
		time.Sleep(61 * time.Second)
		wantKind(t, s.Ready(), Unavailable)
		close(hang)
	})
}

func TestUnlikeReplicas(t *testing.T) {
	a, b := &strictEngine{buckets: testBuckets()}, &strictEngine{buckets: testBuckets()[1:]}
	if _, err := New(Config{Vocab: 10, ContextLength: 256}, nil, a, b); err == nil {
		t.Error("New took engines with different buckets")
	}
	if _, err := New(Config{Vocab: 10, ContextLength: 256}, nil); err == nil {
		t.Error("New took no engine")
	}
}

// TestOutOfMemory: a step that does not fit the device's memory runs in halves, once; one row alone gets the error.
func TestOutOfMemory(t *testing.T) {
	for name, c := range map[string]struct {
		most  int // rows the device has room for
		works bool
	}{"all": {8, true}, "half": {4, true}, "less than half": {3, false}} {
		t.Run(name, func(t *testing.T) {
			engine := &strictEngine{fault: func(step *Step) error {
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
	prefix := &Prefix{Tokens: []int32{1, 2, 3}, Size: 8}
	rows := []*Row{{}, {}, {}}
	first, second := (&Step{Prefix: prefix, Kept: 1, New: 2, Rows: rows}).halves()
	if first.New != 2 || len(first.Rows) != 1 || second.New != 0 || second.Base != prefix || second.Kept != 3 || !slices.Equal(second.Rows, rows[1:]) {
		t.Errorf("halves %+v and %+v: the first must compute the prefix, the second use it", first, second)
	}
}
