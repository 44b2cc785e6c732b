package score

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/scoretest"
)

// pricedBuckets are steps like those of a large model, of milliseconds.
func pricedBuckets() []Bucket {
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	return []Bucket{
		{Tokens: 64, Rows: 1, Length: 64, Cost: ms(9)}, {Tokens: 512, Rows: 4, Length: 512, Cost: ms(30)},
		{Tokens: 256, Rows: 16, Length: 256, Context: 512, Cost: ms(20)}, {Tokens: 1024, Rows: 64, Length: 256, Context: 1024, Cost: ms(62)},
		{Tokens: 2048, Rows: 64, Length: 512, Context: 2048, Cost: ms(115), Pair: 2e-2},
	}
}

// priced is a Scorer whose steps take what their price says, by the clock of a synctest
// bubble.
func priced(t *testing.T, devices int, bound time.Duration, observer Observer) *Scorer {
	t.Helper()
	var engines []Engine
	for range devices {
		engines = append(engines, &scoretest.Fake{Shapes: pricedBuckets(), CacheSize: 256, Fault: func(step *Step) error {
			time.Sleep(step.Cost())
			return nil
		}})
	}
	s, err := New(Config{Vocab: 1000, ContextLength: 1024, MaxBacklog: bound, Observer: observer}, nil, engines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// load makes the requests of a workload.
type workload func(random *rand.Rand) *Request

func items(random *rand.Rand, n, tokens int) (all [][]int64) {
	for range n {
		all = append(all, ids(random.IntN(1e6), tokens))
	}
	return all
}

func workloads() map[string]workload {
	single := func(r *rand.Rand) *Request { return tokenRequest(nil, items(r, 1, 300)...) }
	few := func(r *rand.Rand) *Request { return tokenRequest(ids(r.IntN(1e6), 120), items(r, 10, 180)...) }
	many := func(r *rand.Rand) *Request { return tokenRequest(ids(r.IntN(20), 500), items(r, 50, 20)...) }
	large := func(r *rand.Rand) *Request { return tokenRequest(ids(r.IntN(1e6), 100), items(r, 200, 60)...) }
	return map[string]workload{
		"single prompts": single, "ten items": few, "shared queries": many,
		"small beside large": func(r *rand.Rand) *Request {
			if r.IntN(20) == 0 {
				return large(r)
			}
			return single(r)
		},
		"all kinds": func(r *rand.Rand) *Request { return []workload{single, few, many, large}[r.IntN(4)](r) },
	}
}

// outcome is what came of a load.
type outcome struct {
	mu       sync.Mutex
	times    []time.Duration // of answers
	refused  int
	failures []error
}

// send sends n requests, one each time every has passed, and waits for what comes of
// them.
func send(s *Scorer, w workload, n int, every time.Duration) *outcome {
	random := rand.New(rand.NewPCG(1, 2))
	var o outcome
	var all sync.WaitGroup
	for range n {
		req := w(random)
		all.Go(func() { o.ask(s, req) })
		time.Sleep(time.Duration(random.ExpFloat64() * float64(every)))
	}
	all.Wait()
	return &o
}

func (o *outcome) ask(s *Scorer, req *Request) {
	start := time.Now()
	_, err := s.Score(context.Background(), req)
	o.mu.Lock()
	defer o.mu.Unlock()
	var failure *Error
	switch {
	case err == nil:
		o.times = append(o.times, time.Since(start))
	case errors.As(err, &failure) && failure.Kind == Overloaded && failure.Retry > 0:
		o.refused++
	default:
		o.failures = append(o.failures, err)
	}
}

// busy adds up what the steps took.
type busy struct{ atomic.Int64 }

func (b *busy) Observe(span Span) {
	if span.Stage == StageStep {
		b.Add(int64(span.Predicted))
	}
}

// TestOverload: at ten times the load that the devices bear, answers keep within the
// bound, and the devices are never idle.
func TestOverload(t *testing.T) {
	const bound = 2 * time.Second
	for name, w := range workloads() {
		for _, devices := range []int{1, 3} {
			if devices > 1 && name != "shared queries" && name != "all kinds" {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d devices", name, devices), func(t *testing.T) {
				var each time.Duration // of a request, if all are sent at once
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					send(priced(t, devices, 0, nil), w, 400, 0)
					each = time.Since(start) / 400
				})
				synctest.Test(t, func(t *testing.T) {
					var steps busy
					s := priced(t, devices, bound, &steps)
					send(s, w, 100, 2*each) // until then replicas have no prefix, and take to one device all that wait for it
					steps.Store(0)
					start := time.Now()
					o := send(s, w, 2500, each/10)
					share := float64(steps.Load()) / float64(time.Since(start)) / float64(devices)
					slices.Sort(o.times)
					if len(o.failures) > 0 || len(o.times) < 200 || o.refused < 1000 {
						t.Fatalf("%d answers, %d refused, failures %v", len(o.times), o.refused, o.failures)
					}
					p99 := o.times[len(o.times)*99/100]
					t.Logf("%d answers, %d refused, P50 %v, P99 %v, at most %v; devices busy for %.3f of the time", len(o.times), o.refused,
						o.times[len(o.times)/2], p99, o.times[len(o.times)-1], share)
					if p99 > bound {
						t.Errorf("P99 is %v, want at most %v", p99, bound)
					}
					if share < 0.9 {
						t.Errorf("devices are busy for %.2f of the time", share)
					}
				})
			})
		}
	}
}

// TestBacklogIsTrue: what comes at once takes about as long as the backlog says, half of
// it less at most, and hardly longer. Nothing is left of it at the end.
func TestBacklogIsTrue(t *testing.T) {
	for name, w := range workloads() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := priced(t, 1, 0, nil)
				random := rand.New(rand.NewPCG(3, 4))
				o, start := outcome{}, time.Now()
				var all sync.WaitGroup
				for range 100 {
					req := w(random)
					all.Go(func() { o.ask(s, req) })
				}
				synctest.Wait()
				said := s.Load().Backlog[0]
				all.Wait()
				took := time.Since(start)
				if said < took*4/5 || said > took*3/2 {
					t.Errorf("backlog is %v, and was gone after %v", said, took)
				}
				if load := s.Load(); load.Backlog[0] != 0 {
					t.Errorf("backlog is %v after the last answer", load.Backlog[0])
				}
			})
		})
	}
}

// TestRetryIsTrue: a request that is refused has room after the time that it is told, and
// no more than the bound's margin before it. One that is too large by itself is told so,
// and one that comes alone is taken.
func TestRetryIsTrue(t *testing.T) {
	const bound = time.Second
	synctest.Test(t, func(t *testing.T) {
		s := priced(t, 1, bound, nil)
		w := workloads()["ten items"]
		random := rand.New(rand.NewPCG(5, 6))
		var all sync.WaitGroup
		defer all.Wait()
		for range 20 {
			req := w(random)
			all.Go(func() { _, _ = s.Score(context.Background(), req) })
		}
		synctest.Wait()
		ask := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
			defer cancel()
			_, err := s.Score(ctx, w(random))
			return err
		}
		var refusal *Error
		if err := ask(); !errors.As(err, &refusal) || refusal.Kind != Overloaded {
			t.Fatalf("error %v, want a refusal", err)
		}
		time.Sleep(refusal.Retry - 150*time.Millisecond)
		wantKind(t, ask(), Overloaded)
		time.Sleep(150 * time.Millisecond)
		wantKind(t, ask(), Deadline) // it was taken, and given up at once
		time.Sleep(bound)
		_, err := s.Score(context.Background(), tokenRequest(ids(1, 100), items(random, 300, 60)...))
		wantKind(t, err, TooLarge)
		if _, err := s.Score(context.Background(), tokenRequest(ids(1, 100), items(random, 200, 60)...)); err != nil {
			t.Errorf("a request alone is refused: %v", err)
		}
	})
}

// TestRefusedUntokenized: a request that finds no room is refused before it is tokenized,
// and is taken after the time that it is told.
func TestRefusedUntokenized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := &atomic.Int64{}
		s := priced(t, 1, time.Second, nil)
		s.limits.texts, s.prompter.encoder = true, wordEncoder{read}
		ask := func(ctx context.Context, items int) error {
			req := &Request{Labels: []Label{{ID: 1}}}
			for range items {
				var text strings.Builder
				for range 180 {
					text.WriteString(strings.Repeat("x", 1+rand.IntN(9)) + " ")
				}
				req.Items = append(req.Items, Part{Text: text.String()})
			}
			_, err := s.Score(ctx, req)
			return err
		}
		giveUp := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
			defer cancel()
			return ask(ctx, 10)
		}
		var all sync.WaitGroup
		defer all.Wait()
		for _, items := range []int{10, 1} { // small ones fill the room that is too little for a large one
			for range 20 {
				all.Go(func() { _ = ask(context.Background(), items) })
			}
			synctest.Wait()
		}
		tokenized := read.Load()
		err := giveUp()
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Kind != Overloaded {
			t.Fatalf("error %v, want a refusal", err)
		}
		if more := read.Load() - tokenized; more > 0 {
			t.Errorf("%d bytes are tokenized of a request that is refused", more)
		}
		time.Sleep(refusal.Retry - 150*time.Millisecond)
		wantKind(t, giveUp(), Overloaded)
		time.Sleep(150 * time.Millisecond)
		wantKind(t, giveUp(), Deadline) // it was taken, and given up at once
	})
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		amounts []time.Duration
		more    time.Duration
		want    []time.Duration
	}{
		{[]time.Duration{5}, 3, []time.Duration{8}},
		{[]time.Duration{9, 1, 4}, 2, []time.Duration{9, 3, 4}},
		{[]time.Duration{9, 1, 4}, 7, []time.Duration{9, 6, 6}},
		{[]time.Duration{9, 1, 4}, 16, []time.Duration{10, 10, 10}},
		{[]time.Duration{2, 2}, 0, []time.Duration{2, 2}},
	} {
		if level(c.amounts, c.more); !slices.Equal(c.amounts, c.want) {
			t.Errorf("%v more gives %v, want %v", c.more, c.amounts, c.want)
		}
	}
}
