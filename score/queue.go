package score

import (
	"context"
	"slices"
	"sync"
	"time"

	"scored/score/plan"
)

// queue passes jobs from the goroutines of requests to those of devices, and their
// answers back.
//
// It has two locks. tables.mu must be held while a step is formed or a device's prefix
// table changes; mu must be held for everything else, unless a field or its type says
// otherwise. A goroutine that needs both locks tables.mu first. No engine, encoder or
// observer is called with either held.
type queue struct {
	tables tables

	mu      sync.Mutex
	changed *sync.Cond // signals work, room, a step that ends or is about to, and the end of the queue

	service   service
	admission admission
	backlog   backlog
	returning returning
	underWay  underWay
	line      line
	devices   []*device
	inHand    map[*job]bool // queued and not yet answered
	ended     []*job        // jobs that may still hold prefixes: see tables.release
	running   int           // rows in the steps in flight
	steps     int64         // steps formed since start
	pushes    int64         // jobs queued since start
}

// newQueue returns a queue without devices. The caller must call attach before a device
// is started.
func newQueue(cfg *Config, ladder *plan.Ladder) *queue {
	q := &queue{service: newService(), inHand: map[*job]bool{},
		admission: admission{maxRows: cfg.MaxQueue, maxTokens: cfg.MaxTokens},
		backlog:   backlog{max: cfg.MaxBacklog, unbegun: plan.NewBacklog(ladder)}}
	q.changed = sync.NewCond(&q.mu)
	q.underWay = underWay{changed: q.changed, service: &q.service, wake: q.wake}
	q.returning = returning{clients: plan.NewReturns(ladder), full: ladder.StepTokens(), wake: q.wake}
	return q
}

// attach adds a device and the planner of its steps.
func (q *queue) attach(d *device, planner *plan.Planner) {
	q.devices = append(q.devices, d)
	q.backlog.devices = q.devices
	q.tables.planners = append(q.tables.planners, planner)
	q.returning.several = len(q.devices) > 1
}

// open returns an error if the queue accepts no requests.
func (q *queue) open() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.service.refusal()
}

// admit reserves room for a request's rows, before any work is done for it. The error
// is TooLarge if the request can never be admitted, Overloaded if it can be later.
func (q *queue) admit(req *Request, c *columns) (*reservation, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.service.refusal(); err != nil {
		return nil, err
	}
	if err := q.admission.check(req, c); err != nil {
		return nil, err
	}
	if err := q.backlog.refuseEarly(req); err != nil {
		return nil, err
	}
	rows := countRows(len(req.Items), c)
	q.admission.rows += rows
	return &reservation{queue: q, req: req, columns: c, rows: rows}, nil
}

// releaseRows gives back admitted rows.
func (q *queue) releaseRows(rows int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.admission.rows -= rows
	q.changed.Broadcast()
}

// push queues a job whose rows and tokens are reserved. It returns an *Error if the job
// would be answered too late, or if the queue is closed.
func (q *queue) push(j *job) error {
	f := q.tables.lookUp(j)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.service.closed || q.service.lost != nil {
		return q.service.refusal()
	}
	alone, at := q.backlog.price(j, &f)
	if !j.probe {
		q.backlog.pace.note(alone, j.size)
	}
	if err := q.backlog.refuseLate(j, alone, at); err != nil {
		return err
	}
	q.backlog.add(j, at, f.missing)
	q.enqueue(j)
	return nil
}

// enqueue puts a job behind those that wait. q.mu must be held.
func (q *queue) enqueue(j *job) {
	q.inHand[j] = true
	j.queued = time.Now()
	q.line.add(j)
	q.pushes++
	q.returning.clients.Came(j.queued)
	q.changed.Broadcast()
}

// cancel ends a job and drops its rows that no step has taken. It returns how many those
// are, and when the job's first step was formed, zero if none was. Answers of rows that
// are in a step are discarded.
func (q *queue) cancel(j *job) (dropped int, started time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped, _ = j.waiting()
	q.fail(j, nil)
	return dropped, j.started
}

// fail ends a job with err, which may be nil, and drops its waiting rows. q.mu must be
// held.
func (q *queue) fail(j *job, err error) {
	q.line.remove(j)
	q.end(j, err)
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

// lose fails all jobs in hand and ends the devices' loops. Only the first call has an
// effect.
func (q *queue) lose(device int, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.service.lose(device, cause) {
		return
	}
	q.line = nil
	for j := range q.inHand {
		q.end(j, q.service.lost)
	}
	close(q.service.over)
	q.changed.Broadcast()
}

// lost returns which device was lost and why; nil while none is.
func (q *queue) lost() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.service.lost == nil {
		return nil
	}
	return q.service.lost.Err
}

// load returns a snapshot of the work in hand.
func (q *queue) load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := Load{Requests: len(q.inHand), RunningRows: q.running, Steps: q.steps,
		MaxRows: q.admission.maxRows, MaxTokens: q.admission.maxTokens, Backlog: q.backlog.times()}
	l.WaitingRows, l.WaitingTokens = q.line.waiting()
	return l
}

// flush drops the prefixes of every device and returns how many there were. It refuses
// while there is work in hand.
func (q *queue) flush() (dropped int, err error) {
	q.tables.mu.Lock()
	defer q.tables.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.service.lost != nil {
		return 0, q.service.lost
	}
	if len(q.inHand) > 0 || q.service.closed {
		rows, _ := q.line.waiting()
		return 0, Errorf(Unavailable, "", "cache not flushed: %d rows wait and %d run; retry when "+
			"the server is idle", rows, q.running)
	}
	q.release()
	return q.tables.reset(), nil
}

// release gives up the prefixes that ended jobs held. q.tables.mu and q.mu must be held.
func (q *queue) release() {
	q.tables.release(q.ended)
	q.ended = nil
}

// drain refuses new requests and waits until all admitted ones are answered, or ctx
// ends.
func (q *queue) drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, q.wake)
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.service.draining = true
	for q.admission.rows > 0 && ctx.Err() == nil {
		q.changed.Wait()
	}
	if q.admission.rows > 0 {
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
	q.service.draining, q.service.closed = true, true
	for _, j := range slices.Clone(q.line) {
		q.fail(j, q.service.refusal())
	}
	q.changed.Broadcast()
}
