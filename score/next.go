package score

import (
	"time"

	"scored/score/plan"
)

// next waits for work for d and returns the step to run, which d must pass to settle.
// The job that leads the step moves behind the others that wait. It returns nil when
// the queue is closed or a device lost.
func (q *queue) next(d *device) *flight {
	for q.awaitWork(d) {
		if f := q.formFor(d); f != nil {
			return f
		}
	}
	return nil
}

// awaitWork waits until d may be given a step, and counts the step as under way. It
// returns false if that will never be.
func (q *queue) awaitWork(d *device) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.service.lost != nil:
			return false
		case d.flights.again() != nil:
			q.underWay.begin()
			return true
		case q.service.closed && len(d.flights) == 0:
			return false
		case !q.underWay.held && q.mayBegin(d):
			q.underWay.begin()
			return true
		}
		q.changed.Wait()
	}
}

// mayBegin reports whether to form a step for d now.
//
// An idle device begins with any work, unless it is better to wait a little for more:
// see returning. While a step runs, the next one is formed only when the running one is
// about to end, because other requests can no longer join a step that is formed early;
// or when so much waits that later requests could not change it. q.mu must be held.
func (q *queue) mayBegin(d *device) bool {
	var running *flight
	if len(d.flights) > 0 {
		running = d.flights[0]
	}
	if q.service.closed || len(d.flights) == mostFlights || running != nil && running.again {
		return false
	}
	plenty := plentyWaits * q.returning.full
	rows, own := q.line.workFor(d, plenty)
	if own >= plenty {
		return true
	}
	return rows > 0 && (running == nil || d.nearEnd()) &&
		!q.returning.worthWaiting(running, rows, own)
}

// plentyWaits is how many of the largest steps must wait before one is formed early.
// With 1, sixteen clients of 300 tokens each (workload W1) get steps of three and four
// rows on an H100. They get a fifth fewer answers per second than with steps of five
// and six rows.
const plentyWaits = 2

// formFor forms a step for d, or returns the one that is to run again. It returns nil
// if there is none for now. The step must be counted as under way; after nil it no
// longer is.
func (q *queue) formFor(d *device) *flight {
	f, later := q.tryForm(d)
	if !later {
		return f
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.passed == q.pushes+q.steps && d.flights.again() == nil && !q.service.closed &&
		q.service.lost == nil {
		q.changed.Wait() // the waiting jobs are for another device, which is free
	}
	return nil
}

// tryForm does the work of formFor. later is true if all that waits is left to other
// devices.
func (q *queue) tryForm(d *device) (f *flight, later bool) {
	q.tables.mu.Lock()
	defer q.tables.mu.Unlock()
	f, jobs := q.choose(d)
	if len(jobs) == 0 {
		return f, f == nil
	}
	formed, err := q.tables.form(d.index, jobs)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.fail(jobs[0], err)
	}
	if formed == nil {
		q.underWay.end()
		return nil, false
	}
	return q.serve(formed, jobs, d, time.Now()), false
}

// choose returns the step that d must run again, or else the jobs that it may form a
// step from. If there are none, the step is no longer counted as under way. q.tables.mu
// must be held.
func (q *queue) choose(d *device) (f *flight, jobs []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	if f = d.flights.again(); f == nil {
		jobs = q.jobsFor(d)
	}
	if len(jobs) == 0 {
		q.underWay.end() // a step that is to run again is counted already
		d.passed = q.pushes + q.steps
	}
	return f, jobs
}

// jobsFor returns the jobs that d may run, in order: those that it has begun, and those
// that no device has begun and whose prefix no other device holds more of. A probe of d
// runs by itself and first, so that no other job's failure counts as the probe's.
// q.tables.mu and q.mu must be held.
func (q *queue) jobsFor(d *device) (jobs []*job) {
	var elsewhere []*job
	looked := 0
	for _, j := range q.line {
		switch {
		case j.probe && j.device == d:
			return []*job{j}
		case j.device == d:
			jobs = append(jobs, j)
		case j.device != nil:
		case looked < prefixLookups:
			looked++
			if holder := q.tables.holder(j.Pending(), d.index); holder == d.index {
				jobs = append(jobs, j)
			} else if len(q.devices[holder].flights) > 0 {
				elsewhere = append(elsewhere, j)
			}
		default:
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		return elsewhere // the devices that hold their prefixes are busy, and d has nothing else to do
	}
	return jobs
}

// prefixLookups is for how many waiting jobs a device compares prefixes with the other
// devices. Jobs behind these it takes in order.
const prefixLookups = 64

// serve marks the rows of the formed step as taken and adds the step to d's flights.
// q.mu must be held.
func (q *queue) serve(formed *plan.Formed, jobs []*job, d *device, now time.Time) *flight {
	f := &flight{Formed: formed, settled: make(chan struct{})}
	before := q.backlog.within(d)
	for _, take := range formed.Takes {
		j := jobs[take.Job]
		f.jobs = append(f.jobs, j)
		q.backlog.take(d, j, take)
		if j.answered() { // its client left while the step was formed
			j.device = d
			q.ended = append(q.ended, j)
		} else {
			j.begin(d, now)
		}
		q.running += take.Count
	}
	f.use = f.measure()
	// With less work than two steps, rows may have been too few to fill this one: no
	// measure.
	if after := q.backlog.within(d); after > 2*q.backlog.step() {
		q.backlog.packing.note(f.Step.Cost(), before-after)
	}
	f.lead = jobs[formed.Lead]
	q.line.removeTaken()
	q.line.giveWay(f.lead, &q.backlog)
	q.steps++
	f.number = q.steps
	d.flights = append(d.flights, f)
	q.changed.Broadcast() // other devices may take rows that would have gone to this one
	return f
}
