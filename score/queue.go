package score

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scored/score/plan"
)

// queue holds admitted jobs in the order in which they are to be served. Reservations
// bound everything in it.
//
// It has two locks. planning must be held while a step is formed or a device's prefix
// table changes; mu must be held for everything else. A goroutine that needs both locks
// planning first. Steps are formed without mu, so that requests can come and go
// meanwhile.
type queue struct {
	planning sync.Mutex

	mu      sync.Mutex
	changed *sync.Cond // signals work, room, a step that ends or is about to, and the end of the queue

	maxRows, maxTokens int
	maxBacklog         time.Duration // 0: no bound
	rows               int           // admitted and not yet released
	tokens             atomic.Int64  // reserved and not yet released; used without mu
	jobs               []*job        // with waiting rows, in the order in which they are served
	running            int           // rows in the steps in flight
	inHand             map[*job]bool // queued and not yet answered
	steps              int64         // steps formed since start
	pushes             int64         // jobs queued since start
	busy               int           // steps being formed, or not settled
	held               bool          // no device may begin a step: see hold
	lost               *Error        // why no device will run a step again; nil while they may
	over               chan struct{} // closed when lost is set
	draining, closed   bool
	devices            []*device
	packing            packing
	pace               pace
	waits              *plan.Backlog // waiting rows that no device has begun
	ended              []*job        // jobs that may still hold prefixes: see release
	returns            *plan.Returns
}

// newQueue returns a queue without devices. The caller must set devices and returns
// before it starts a device.
func newQueue(cfg Config, waits *plan.Backlog) *queue {
	q := &queue{maxRows: cfg.MaxQueue, maxTokens: cfg.MaxTokens, maxBacklog: cfg.MaxBacklog,
		waits: waits, inHand: map[*job]bool{}, over: make(chan struct{})}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// open returns an error if the queue accepts no requests.
func (q *queue) open() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.openLocked()
}

// openLocked is open for callers that hold q.mu.
func (q *queue) openLocked() error {
	if q.lost != nil {
		return q.lost
	}
	if q.draining || q.closed {
		return Errorf(Unavailable, "", "server is shutting down; send the request to another replica")
	}
	return nil
}

// push queues a job whose rows and tokens are reserved. It returns an *Error if the job
// would be answered too late, or if the queue is closed.
func (q *queue) push(j *job) error {
	alone, missing, at := q.price(j)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.lost != nil {
		return q.openLocked()
	}
	if !j.probe {
		q.pace.note(alone, j.size)
	}
	if err := q.refuseLate(j, alone, at); err != nil {
		return err
	}
	for i, g := range j.Groups {
		q.waitsFor(at).Add(g, missing[i])
	}
	q.enqueue(j)
	return nil
}

// enqueue puts a job behind those that wait. q.mu must be held.
func (q *queue) enqueue(j *job) {
	q.inHand[j] = true
	j.queued = time.Now()
	q.jobs = append(q.jobs, j)
	q.pushes++
	q.returns.Came(j.queued)
	q.changed.Broadcast()
}

// cancel ends a job, drops its rows that no step has taken, and returns how many.
// Answers of rows that are in a step are discarded.
func (q *queue) cancel(j *job) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped, _ = j.waiting()
	if i := slices.Index(q.jobs, j); i >= 0 {
		q.jobs = slices.Delete(q.jobs, i, i+1)
	}
	q.end(j, nil)
	return dropped
}

// end completes j exactly once and wakes its waiter. Later calls do nothing. q.mu must
// be held.
func (q *queue) end(j *job, err error) {
	if j.answered() {
		return
	}
	j.err = err
	j.ended = time.Now()
	for _, g := range j.Groups {
		g.Uncount()
	}
	delete(q.inHand, j)
	if j.device != nil {
		q.ended = append(q.ended, j)
	}
	close(j.done)
	q.changed.Broadcast()
}

// fail ends a job with err and drops its waiting rows. q.mu must be held.
func (q *queue) fail(j *job, err error) {
	q.jobs = slices.DeleteFunc(q.jobs, func(other *job) bool { return other == j })
	q.end(j, err)
}

// waiting returns the number of rows that no step has taken, and of their tokens. q.mu
// must be held.
func (q *queue) waiting() (rows, tokens int) {
	for _, j := range q.jobs {
		r, t := j.waiting()
		rows += r
		tokens += t
	}
	return rows, tokens
}

// load returns a snapshot of the work in hand.
func (q *queue) load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := Load{Requests: len(q.inHand), RunningRows: q.running, Steps: q.steps, MaxRows: q.maxRows,
		MaxTokens: q.maxTokens}
	l.WaitingRows, l.WaitingTokens = q.waiting()
	l.Backlog = q.backlogs()
	return l
}

// drain refuses new requests and waits until all admitted ones are answered, or ctx
// ends.
func (q *queue) drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, q.wake)
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = true
	for q.rows > 0 && ctx.Err() == nil {
		q.changed.Wait()
	}
	if q.rows > 0 {
		return &Error{Kind: Deadline, Message: "drain ended with rows unanswered",
			Err: context.Cause(ctx)}
	}
	return nil
}

// wake makes every goroutine that waits on the queue look again.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed.Broadcast()
}

// close fails every job that waits. Steps in flight end as usual.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining, q.closed = true, true
	for _, j := range slices.Clone(q.jobs) {
		q.fail(j, q.openLocked())
	}
	q.changed.Broadcast()
}
