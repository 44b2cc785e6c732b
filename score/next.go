package score

import (
	"slices"
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

// awaitWork waits until d may be given a step, and counts it as busy. It returns false
// if that will never be.
func (q *queue) awaitWork(d *device) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.lost != nil:
			return false
		case d.first() != nil:
			q.busy++
			return true
		case q.closed && len(d.flights) == 0:
			return false
		case !q.held && q.mayBegin(d):
			q.busy++
			return true
		}
		q.changed.Wait()
	}
}

// mayBegin reports whether to form a step for d now.
//
// An idle device begins with any work, unless it is better to wait a little for more:
// see worthWaiting. While a step runs, the next one is formed only when the running one
// is about to end, because other requests can no longer join a step that is formed
// early; or when so much waits that later requests could not change it. q.mu must be
// held.
func (q *queue) mayBegin(d *device) bool {
	under := len(d.flights)
	if q.closed || under == mostFlights || under > 0 && d.flights[0].again {
		return false
	}
	rows, own := 0, 0 // waiting rows, and their tokens beyond the shared prefixes
	for _, j := range q.jobs {
		if j.device == nil || j.device == d {
			for _, g := range j.Groups {
				rows += g.Pending()
				own += g.PendingOwn()
			}
		}
		if own >= plentyWaits*d.full {
			return true
		}
	}
	return rows > 0 && (under == 0 || d.nearEnd(d.flights[0])) && !q.worthWaiting(d, rows, own)
}

// plentyWaits is how many of the largest steps must wait before one is formed early.
// With 1, sixteen clients of 300 tokens each (workload W1) get steps of three and four
// rows on an H100. They get a fifth fewer answers per second than with steps of five
// and six rows.
const plentyWaits = 2

// formFor forms a step for d, or returns the one that is to run again. It returns nil
// if there is none for now. d must be counted as busy; after nil it no longer is.
func (q *queue) formFor(d *device) *flight {
	f, later := q.tryForm(d)
	if !later {
		return f
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.passed == q.pushes+q.steps && d.first() == nil && !q.closed && q.lost == nil {
		q.changed.Wait() // the waiting jobs are for another device, which is free
	}
	return nil
}

// tryForm does the work of formFor. later is true if all that waits is left to other
// devices.
func (q *queue) tryForm(d *device) (f *flight, later bool) {
	q.planning.Lock()
	defer q.planning.Unlock()
	q.mu.Lock()
	q.release()
	f = d.first()
	var jobs []*job
	if f == nil {
		jobs = q.jobsFor(d)
	}
	if len(jobs) == 0 {
		q.busy-- // a step that is to run again is counted already; otherwise there is none
		d.passed = q.pushes + q.steps
		q.changed.Broadcast()
		q.mu.Unlock()
		return f, f == nil
	}
	q.mu.Unlock()
	formed, err := d.form(jobs)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.fail(jobs[0], err)
	}
	if formed == nil {
		q.busy--
		q.changed.Broadcast()
		return nil, false
	}
	return q.serve(formed, jobs, d, time.Now()), false
}

// form lets the planner form a step from the jobs. A panic in the planner fails the job
// that would lead the step, and leaves the prefix table in an unknown state, so form
// empties it. queue.planning must be held.
func (d *device) form(jobs []*job) (formed *plan.Formed, err error) {
	all := make([]*plan.Job, len(jobs))
	for i, j := range jobs {
		all[i] = j.Job
	}
	err = guard("step cannot be formed", func() error {
		formed = d.planner.Next(all)
		return nil
	})
	if err != nil {
		d.planner.Reset()
	}
	return formed, err
}

// release gives up the prefixes that ended jobs held. q.planning and q.mu must be held.
func (q *queue) release() {
	for _, j := range q.ended {
		j.device.planner.Release(j.Job)
	}
	q.ended = nil
}

// jobsFor returns the jobs that d may run, in order: those that it has begun, and those
// that no device has begun and whose prefix no other device holds more of. A probe of d
// runs by itself and first, so that no other job's failure counts as the probe's.
// q.planning and q.mu must be held.
func (q *queue) jobsFor(d *device) (jobs []*job) {
	var elsewhere []*job
	looked := 0
	for _, j := range q.jobs {
		switch {
		case j.probe && j.device == d:
			return []*job{j}
		case j.device == d:
			jobs = append(jobs, j)
		case j.device != nil:
		case looked < prefixLookups:
			looked++
			if holder := q.holder(j, d); holder == d {
				jobs = append(jobs, j)
			} else if len(holder.flights) > 0 {
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

// holder returns the device that holds most of the prefix of the job's next rows, or d
// if no device holds more than d. q.planning and q.mu must be held.
func (q *queue) holder(j *job, d *device) *device {
	g := j.Pending()
	if len(q.devices) < 2 || g == nil || g.Shared == 0 {
		return d
	}
	most := d.planner.Match(g)
	for _, other := range q.devices {
		if n := other.planner.Match(g); n > most {
			d, most = other, n
		}
	}
	return d
}

// serve marks the rows of the formed step as taken and adds the step to d's flights.
// q.mu must be held.
func (q *queue) serve(formed *plan.Formed, jobs []*job, d *device, now time.Time) *flight {
	f := &flight{Formed: formed, settled: make(chan struct{})}
	before := d.waits.Cost() + q.waits.Cost()
	for _, take := range formed.Takes {
		j := jobs[take.Job]
		f.jobs = append(f.jobs, j)
		q.take(d, j, take)
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
	if after := d.waits.Cost() + q.waits.Cost(); after > 2*q.waits.Step() {
		q.packing.note(f.Step.Cost(), before-after)
	}
	f.lead = jobs[formed.Lead]
	q.jobs = slices.DeleteFunc(q.jobs, func(j *job) bool { return j.Pending() == nil })
	q.giveWay(f.lead)
	q.steps++
	f.number = q.steps
	d.flights = append(d.flights, f)
	q.changed.Broadcast() // other devices may take rows that would have gone to this one
	return f
}

// giveWay moves a job that has rows left behind the others that wait. It is called for
// the job that leads a step, when the step is formed and again when it has run. So a
// large request delays a small one only by the steps that are formed already. A job
// that would be answered too late keeps its place. q.mu must be held.
func (q *queue) giveWay(lead *job) {
	if i := slices.Index(q.jobs, lead); i >= 0 && q.mayWait(lead) {
		q.jobs = append(slices.Delete(q.jobs, i, i+1), lead)
	}
}
