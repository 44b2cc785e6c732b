package score

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"scored/score/scoretest"
)

// FuzzSchedule plays a sequence of arrivals, departures and steps, some of which fail, on
// two devices. Whatever the sequence: every step fits its bucket, no row runs twice,
// every request is answered once and right or with the error that befell it, and in the
// end nothing is held.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 90, 5, 0, 90, 7, 4, 4, 4, 4})
	f.Add([]byte{0, 200, 255, 1, 3, 33, 4, 2, 0, 5, 6, 4, 7, 4})
	f.Add([]byte("a long query, many requests, a failure 7 and some who leave 333"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		for _, buckets := range [][]Bucket{testBuckets(), quickBuckets()} {
			synctest.Test(t, func(t *testing.T) { newSchedule(t, buckets).play(ops) })
		}
	})
}

var errInjected = errors.New("injected")

// schedule is a Scorer whose steps wait to be let go, and the requests it has not
// answered yet.
type schedule struct {
	*testing.T
	scorer  *Scorer
	engines []*scoretest.Fake
	failing bool // what the step that is let go next reads
	waiting []*call
	sent    int
}

type call struct {
	req    *Request
	leave  context.CancelFunc
	left   bool
	result *Result
	err    error
	done   chan struct{}
}

func newSchedule(t *testing.T, buckets []Bucket) *schedule {
	p := &schedule{T: t}
	p.scorer, p.engines = replicasOf(t, 2, Config{MaxQueue: 60, MaxTokens: 2000}, buckets)
	for _, e := range p.engines {
		e.Free = make(chan struct{})
		e.Fault = func(*Step) error {
			if p.failing {
				return errInjected
			}
			return nil
		}
	}
	return p
}

func (p *schedule) play(ops []byte) {
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		b := ops[0]
		ops = ops[1:]
		return int(b)
	}
	for len(ops) > 0 {
		switch op := next(); op % 8 {
		case 0, 1, 2:
			p.arrive(op>>3, next(), next())
		case 3:
			if n := next(); len(p.waiting) > 0 {
				c := p.waiting[n%len(p.waiting)]
				c.left = true
				c.leave()
			}
		case 4, 5, 6:
			p.step(op>>3, false)
		case 7:
			p.step(op>>3, true)
		}
		p.settle()
	}
	for n := 0; len(p.waiting) > 0; n++ {
		if n > 10_000 {
			p.Fatalf("%d requests are not answered after 10,000 steps: %+v", len(p.waiting), p.scorer.Load())
		}
		p.step(n, false)
		p.settle()
	}
	for _, e := range p.engines { // one may be computing a part of a prefix for a client that left
		close(e.Free)
	}
	synctest.Wait()
	p.checkEnd()
}

// arrive sends a request whose numbers decide what it shares with others.
func (p *schedule) arrive(kind, length, shape int) {
	var items [][]int64
	for i := range 1 + shape%16 {
		items = append(items, ids(50+p.sent+i, 1+(shape/16+7*i)%40))
	}
	p.sent++
	req := tokenRequest(ids(kind%3, length), items...)
	req.ItemFirst = kind%5 == 4
	ctx, leave := context.WithCancel(p.Context())
	c := &call{req: req, leave: leave, done: make(chan struct{})}
	p.waiting = append(p.waiting, c)
	go func() {
		defer close(c.done)
		c.result, c.err = p.scorer.Score(ctx, req)
	}()
	synctest.Wait()
}

// step lets the step under way on a device end, if there is one.
func (p *schedule) step(device int, fail bool) {
	e := p.engines[device%len(p.engines)]
	p.failing = fail
	select {
	case e.Free <- struct{}{}:
	default:
	}
	synctest.Wait()
}

// settle checks the requests that have been answered.
func (p *schedule) settle() {
	synctest.Wait()
	var waiting []*call
	for _, c := range p.waiting {
		select {
		case <-c.done:
			c.check(p.T)
			c.leave()
		default:
			if c.left {
				p.Errorf("a client that left still waits")
			}
			waiting = append(waiting, c)
		}
	}
	p.waiting = waiting
}

func (c *call) check(t *testing.T) {
	var failure *Error
	switch {
	case c.err == nil:
		wantScores(t, c.req, c.result)
	case errors.Is(c.err, errInjected):
	case !errors.As(c.err, &failure):
		t.Errorf("error %v is none of the domain", c.err)
	case failure.Kind == Deadline && c.left, failure.Kind == Overloaded, failure.Kind == TooLarge, failure.Kind == Invalid:
	default:
		t.Errorf("request failed with %v", c.err)
	}
}

func (p *schedule) checkEnd() {
	ran := map[*int32]bool{} // by where a row's tokens lie
	for _, e := range p.engines {
		for _, step := range e.Steps() {
			for _, row := range step.Rows {
				if ran[&row.Tokens[0]] {
					p.Error("a row ran twice")
				}
				ran[&row.Tokens[0]] = true
			}
		}
	}
	if load := p.scorer.Load(); load.Requests != 0 || load.WaitingRows != 0 || load.WaitingTokens != 0 || load.RunningRows != 0 {
		p.Errorf("load %+v after the last answer, want nothing in hand", load)
	}
	if q := p.scorer.queue; q.admission.rows != 0 || q.admission.tokens.Load() != 0 || len(q.line) != 0 {
		p.Errorf("queue holds %d rows, %d tokens and %d jobs after the last answer", q.admission.rows, q.admission.tokens.Load(), len(q.line))
	}
}
