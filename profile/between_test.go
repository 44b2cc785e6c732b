package profile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scored/score"
	"scored/score/scoretest"
)

// busyEngine takes a while for each step.
type busyEngine struct{ running *atomic.Int64 }

func (busyEngine) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 64, Rows: 4, Length: 64, Cost: 1}}
}
func (busyEngine) Pages() int { return scoretest.ManyPages }

func (e busyEngine) Run(step *score.Step) (score.Pending, error) {
	e.running.Add(1)
	defer e.running.Add(-1)
	time.Sleep(300 * time.Microsecond)
	answers := make([][]float32, len(step.Rows))
	for i := range answers {
		answers[i] = make([]float32, step.Rows[i].Numbers())
	}
	return scoretest.Done(answers), nil
}

// carefulTracer is a device's tracer that must not start or stop beside a step.
type carefulTracer struct {
	t               *testing.T
	running         *atomic.Int64
	on              bool
	starts, stopped int
}

func (d *carefulTracer) check(what string) {
	for range 20 { // so long that a step would begin
		if n := d.running.Load(); n != 0 {
			d.t.Errorf("tracer %s beside %d steps", what, n)
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}

func (d *carefulTracer) Start(int, int) error {
	d.check("starts")
	if d.on {
		d.t.Error("tracer is started twice")
	}
	d.on = true
	d.starts++
	return nil
}

func (d *carefulTracer) Stop() ([]byte, error) {
	d.check("stops")
	if !d.on {
		d.t.Error("tracer is stopped twice")
	}
	d.on = false
	d.stopped++
	return nil, nil
}

// TestTracerStartsAndStopsBetweenSteps: under load, on one device and on two, however a
// session begins and ends.
func TestTracerStartsAndStopsBetweenSteps(t *testing.T) {
	for name, devices := range map[string]int{"one device": 1, "two devices": 2} {
		t.Run(name, func(t *testing.T) {
			var running atomic.Int64
			var engines []score.Engine
			for range devices {
				engines = append(engines, busyEngine{&running})
			}
			var scorer *score.Scorer
			d := &carefulTracer{t: t, running: &running}
			b := newBench(t, Config{Device: d, MaxDuration: 50 * time.Millisecond, BetweenSteps: func(ctx context.Context, do func() error) error {
				return scorer.BetweenSteps(ctx, do)
			}})
			scorer, err := score.New(score.Config{Vocab: 10, ContextLength: 64, Observer: b}, nil, engines...)
			if err != nil {
				t.Fatal(err)
			}
			defer scorer.Close()
			stopLoad := b.scoreUntil(scorer)
			defer stopLoad()
			for n := range 5 {
				b.start(Options{NumSteps: p(int64(n + 2))})
				b.idle()
				b.start(Options{})
				time.Sleep(5 * time.Millisecond)
				b.stop(nil)
				b.start(Options{StartStep: p(b.latest.Load() + 20), NumSteps: p(int64(3))})
				b.idle()
			}
			b.start(Options{}) // expires
			b.idle()
			b.start(Options{})
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if d.on || d.starts != d.stopped || d.starts < 12 {
				t.Errorf("tracer was started %d times and stopped %d times", d.starts, d.stopped)
			}
		})
	}
}

// scoreUntil scores from some clients until it is told to stop.
func (b *bench) scoreUntil(scorer *score.Scorer) (stop func()) {
	done := make(chan struct{})
	var clients sync.WaitGroup
	for k := range 8 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				id := fmt.Sprint(k, "-", n)
				ids := score.Part{IsTokens: true, Tokens: []int64{1, 2, 3}}
				if _, err := scorer.Score(context.Background(), &score.Request{ID: id, Query: ids, Items: []score.Part{ids}, Labels: []score.Label{{ID: 1}}}); err != nil {
					b.t.Error(err)
					return
				}
				b.Observe(score.Span{Stage: score.StageReply, RequestID: id, Start: time.Now(), End: time.Now()})
			}
		})
	}
	return func() { close(done); clients.Wait() }
}

// TestNoPlaceToStop: where no place between steps is found, the trace says so, the
// tracer is left alone, and the next session stops it before it starts its own.
func TestNoPlaceToStop(t *testing.T) {
	d := &tracer{}
	hangs := errors.New("a step hangs")
	var refuse atomic.Bool
	b := newBench(t, Config{Device: d, BetweenSteps: func(_ context.Context, do func() error) error {
		if refuse.Load() {
			return hangs
		}
		return do()
	}})
	b.start(Options{})
	b.run(1)
	refuse.Store(true)
	b.stop(nil)
	space, err := readSpace(filepath.Join(b.Status().Dir, "host.xplane.pb"))
	if err != nil || len(space.Warnings) != 1 || !strings.Contains(space.Warnings[0], "a step hangs") {
		t.Errorf("warnings %q, %v", space.GetWarnings(), err)
	}
	if err := b.Start(Options{}); !errors.Is(err, hangs) || d.calls != "<" {
		t.Errorf("Start: %v, calls %q", err, d.calls)
	}
	refuse.Store(false)
	b.start(Options{})
	b.stop(nil)
	if d.calls != "<><>" {
		t.Errorf("calls %q, want the tracer that was left stopped before the next start", d.calls)
	}
}
