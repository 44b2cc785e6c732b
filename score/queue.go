package score

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// queue holds admitted jobs in the order they are to be served. Reservations bound everything in it.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond // work, a request to flush, room, or the end

	maxRows, maxTokens int
	rows               int          // admitted and not yet released
	tokens             atomic.Int64 // the same of tokens; not under mu
	jobs               []*job
	running            int           // rows in the steps under way
	inHand             map[*job]bool // pushed and not yet answered
	steps              int64
	busy               int           // devices with a step under way
	held               bool          // no device may begin a step: see hold
	lost               *Error        // why no device will ever run a step again; nil while they may
	over               chan struct{} // closed when lost is set
	draining, closed   bool
	devices            int
	flushes            []*flush
}

func newQueue(maxRows, maxTokens int) *queue {
	q := &queue{maxRows: maxRows, maxTokens: maxTokens, inHand: map[*job]bool{}, over: make(chan struct{})}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) open() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.openLocked()
}

func (q *queue) openLocked() error {
	if q.lost != nil {
		return q.lost
	}
	if q.draining || q.closed {
		return Errorf(Unavailable, "", "server is shutting down; send the request to another replica")
	}
	return nil
}

// push queues a job whose rows and tokens are reserved.
func (q *queue) push(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.lost != nil {
		return q.openLocked()
	}
	q.inHand[j] = true
	j.queued = time.Now()
	q.jobs = append(q.jobs, j)
	q.changed.Broadcast()
	return nil
}

// cancel drops the job's rows that no step has taken and tells how many; the answers of those in a step are thrown away.
func (q *queue) cancel(j *job) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range j.groups {
		dropped += g.pending()
	}
	if i := slices.Index(q.jobs, j); i >= 0 {
		q.jobs = slices.Delete(q.jobs, i, i+1)
	}
	q.end(j, nil)
	return dropped
}

// end takes the job out of the books, once, and wakes whoever waits for it. The lock is held.
func (q *queue) end(j *job, err error) {
	select {
	case <-j.done:
		return
	default:
	}
	j.err = err
	j.ended = time.Now()
	delete(q.inHand, j)
	close(j.done)
	q.changed.Broadcast()
}

// next waits for work for the device and forms the step to run. It returns nil when the queue has been closed, or a device
// lost. Requests to flush are answered in between. Whoever gets a step calls settle when it has ended. A panic while a step
// is formed fails the job that would lead it, not the process.
func (q *queue) next(d *device) *forming {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed || q.lost != nil {
			return nil
		}
		if q.held {
			q.changed.Wait()
			continue
		}
		q.answerFlushes(d)
		if jobs := q.jobsFor(d); len(jobs) > 0 {
			f, err := d.form(jobs)
			if err != nil {
				q.fail(jobs[0], err)
				continue
			}
			q.serve(f, d, time.Now())
			q.busy++
			return f
		}
		q.changed.Wait()
	}
}

// jobsFor lists the jobs that no other device has begun. A probe of the device runs by itself and first: what else
// fails says nothing about it.
func (q *queue) jobsFor(d *device) []*job {
	jobs := make([]*job, 0, len(q.jobs))
	for _, j := range q.jobs {
		if j.probe && j.device == d {
			return []*job{j}
		}
		if j.device == nil || j.device == d {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// serve marks the step's rows as taken.
func (q *queue) serve(f *forming, d *device, now time.Time) {
	lead := f.lead
	lead.begin(d, now)
	for _, t := range f.takes {
		t.group.job.begin(d, now)
		t.group.next += t.count
		q.running += t.count
	}
	q.jobs = slices.DeleteFunc(q.jobs, func(j *job) bool { return firstPending(j) == nil })
	q.steps++
	f.number = q.steps
}

// giveWay puts the job that led a step behind those that wait, and that came while the step ran, so that a large request
// delays a small one by a step. A job whose step was a slice of its prefix gives way too, until another prefix displaces
// that slice before the next one: from then on it keeps its turn, or two jobs might displace each other's slices for ever.
// The lock is held.
func (q *queue) giveWay(f *forming) {
	i := slices.Index(q.jobs, f.lead)
	if i < 0 || len(f.takes) == 0 && firstPending(f.lead).displaced {
		return
	}
	q.jobs = append(slices.Delete(q.jobs, i, i+1), f.lead)
}

// begin notes the device that a job's first step runs on. It stays there: that is where its prefix will be.
func (j *job) begin(d *device, now time.Time) {
	if j.device == nil {
		j.device, j.started = d, now
	}
}

// settle hands out a step's answers, or its failure.
func (q *queue) settle(f *forming, answers [][]float32, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	q.changed.Broadcast()
	q.giveWay(f)
	for _, t := range f.takes {
		q.running -= t.count
	}
	if unanswered(f.lead) { // else its client has gone, or a device was lost
		f.lead.cached -= f.step.New
	}
	if err != nil {
		q.fail(f.lead, err)
	}
	for _, t := range f.takes {
		j := t.group.job
		if err != nil {
			q.fail(j, err)
			continue
		}
		if !unanswered(j) {
			answers = answers[t.count:]
			continue
		}
		// A job runs one step at a time, so next still is where serve left it.
		for i := t.group.next - t.count; i < t.group.next; i++ {
			j.answers[t.group.items[i]] = answers[0]
			answers = answers[1:]
		}
		j.cached += t.count * t.shared
		if j.left -= t.count; j.left == 0 {
			q.end(j, nil)
		}
	}
}

// fail ends a job with err and drops its rows that still wait.
func (q *queue) fail(j *job, err error) {
	q.jobs = slices.DeleteFunc(q.jobs, func(other *job) bool { return other == j })
	q.end(j, err)
}

func (q *queue) waiting() int {
	n := 0
	for _, j := range q.jobs {
		for _, g := range j.groups {
			n += g.pending()
		}
	}
	return n
}

func (q *queue) load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := Load{Requests: len(q.inHand), WaitingRows: q.waiting(), RunningRows: q.running, Steps: q.steps,
		MaxRows: q.maxRows, MaxTokens: q.maxTokens}
	for _, j := range q.jobs {
		for _, g := range j.groups {
			for _, row := range g.rows[g.next:] {
				l.WaitingTokens += len(row.Tokens)
			}
		}
	}
	return l
}

// drain refuses new requests and waits for those admitted.
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
		return &Error{Kind: Deadline, Message: "drain ended with rows unanswered", Err: context.Cause(ctx)}
	}
	return nil
}

func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed.Broadcast()
}

// close fails every job that waits; the step under way ends as usual.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining, q.closed = true, true
	for _, j := range slices.Clone(q.jobs) {
		q.fail(j, q.openLocked())
	}
	q.changed.Broadcast()
}
