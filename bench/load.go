package bench

import (
	"context"
	"sync"
	"time"
)

// load sends requests for d, awaits those in flight, and returns the results.
func (r *run) load(ctx context.Context, d time.Duration) *tally {
	t := &tally{mix: r.Mix}
	if r.Rate > 0 {
		r.open(ctx, d, t)
	} else {
		r.closed(ctx, d, t)
	}
	return t
}

// closed lets every client send its next request when the last one is answered. A slow
// server is so asked less: it shows throughput, and flatters latency.
func (r *run) closed(ctx context.Context, d time.Duration, t *tally) {
	var clients sync.WaitGroup
	end := time.Now().Add(d)
	for range r.Clients {
		a := r.author()
		clients.Go(func() {
			for ctx.Err() == nil && time.Now().Before(end) {
				next := r.next(a)
				r.request(ctx, next, time.Now(), t)
			}
		})
	}
	clients.Wait()
}

// open sends requests at Poisson arrivals, with exponential gaps of mean 1/Rate,
// whether or not earlier requests are answered. Latency counts from the scheduled
// arrival, so neither a slow server nor a slow generator hides waiting time.
func (r *run) open(ctx context.Context, d time.Duration, t *tally) {
	var flying sync.WaitGroup
	defer flying.Wait()
	slots := make(chan struct{}, r.MaxInFlight) // one for each request in flight
	a := r.author()
	arrival := time.Now()
	end := arrival.Add(d)
	for {
		arrival = arrival.Add(time.Duration(a.random.ExpFloat64() / r.Rate * float64(time.Second)))
		if !arrival.Before(end) {
			return
		}
		next, scheduled := r.next(a), arrival // written in advance, so that writing delays nothing
		if !wait(ctx, time.Until(scheduled)) {
			return
		}
		t.sending(time.Since(scheduled))
		select {
		case slots <- struct{}{}:
			flying.Go(func() {
				r.request(ctx, next, scheduled, t)
				<-slots
			})
		default:
			t.skip()
		}
	}
}

// wait waits for d. It returns false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// shot is a request ready to be sent.
type shot struct {
	share  int // index in the mix
	body   []byte
	giveUp float64 // share of a typical latency after which it is cancelled; 0: never
}

// next returns the author's next request. All that is random of it is decided here, from
// the author's own stream, whatever the server answers.
func (r *run) next(a *author) shot {
	s := shot{share: a.pick(r.Mix)}
	s.body = r.client.body(a.write(r.Mix[s.share].Workload))
	if a.random.Float64() < r.CancelShare {
		s.giveUp = a.random.Float64()
	}
	return s
}

// request sends s and counts the result, with the time since start as its latency. What
// is in flight when ctx ends is not counted.
func (r *run) request(ctx context.Context, s shot, start time.Time, t *tally) {
	workload := r.Mix[s.share].Workload
	sent := ctx
	if s.giveUp > 0 {
		var cancel context.CancelFunc
		sent, cancel = context.WithCancel(ctx)
		defer cancel()
		timer := time.AfterFunc(time.Duration(s.giveUp*float64(t.typical(s.share))), cancel)
		defer timer.Stop()
	}
	a, failed := r.client.score(sent, s.body, workload.Items)
	switch {
	case ctx.Err() != nil: // the whole run was given up
	case failed != nil:
		t.fail(failed)
	default:
		t.answer(s.share, time.Since(start), a.Usage)
	}
}
