package score

import (
	"slices"
	"time"

	"scored/score/plan"
)

// next waits for work for the device and gives the step to run; the jobs it serves go behind those that wait. It returns
// nil when the queue has been closed, or a device lost. The step is the device's until settle.
func (q *queue) next(d *device) *flight {
	for q.awaitWork(d) {
		if f := q.formFor(d); f != nil {
			return f
		}
	}
	return nil
}

// awaitWork waits until the device may be given a step, and counts it as busy; false if that will never be.
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

// mayBegin tells whether to form a step for the device now. While it is idle, any work is enough. While a step runs, the
// next is formed if so much waits that what comes later could not change it, or if the one that runs is about to end: a step
// formed early is one that others can no longer join. In both cases it may be better to wait for them a little: see
// betterLater. q.mu must be held.
func (q *queue) mayBegin(d *device) bool {
	under := len(d.flights)
	if q.closed || under == mostFlights || under > 0 && d.flights[0].again {
		return false
	}
	rows, own := 0, 0 // that wait
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
	return rows > 0 && (under == 0 || d.nearEnd(d.flights[0])) && !q.betterLater(d, rows, own)
}

// plentyWaits is how many of the largest steps must wait to form one early. With one, sixteen clients of 300 tokens (W1)
// get steps of three and four rows on an H100, and a fifth fewer answers a second than with steps of five and six.
const plentyWaits = 2

// formFor forms a step, or gives the one that is to run again. It is nil if there is none, for the time being. The device
// counts as busy, and no longer does if it is nil.
func (q *queue) formFor(d *device) *flight {
	f, later := q.tryForm(d)
	if !later {
		return f
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.passed == q.pushes+q.steps && d.first() == nil && !q.closed && q.lost == nil {
		q.changed.Wait() // what waits is for another device, which is free
	}
	return nil
}

// tryForm is formFor; later tells that all there is to do is left to other devices.
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
		q.busy-- // of the step that is to run again, which is counted already, or of none
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

// form has the planner form a step. A panic there, which fails the job that would lead it, leaves the table in disorder: it
// is emptied. queue.planning must be held.
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

// release lets go of the prefixes that ended jobs held. Both locks must be held.
func (q *queue) release() {
	for _, j := range q.ended {
		j.device.planner.Release(j.Job)
	}
	q.ended = nil
}

// jobsFor lists the jobs that no other device has begun. A probe of the device runs by itself and first: what else
// fails says nothing about it. Both locks must be held.
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
		case looked < lookedFor:
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
		return elsewhere // the device that has its prefix is at a step, and this one has nothing else to do
	}
	return jobs
}

// lookedFor is for how many jobs' prefixes a device looks among those of the others before it takes jobs as they come.
const lookedFor = 64

// holder is the device that holds the most of what the job's rows share, or d where none holds more. Both locks must be
// held.
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

// serve marks the step's rows as taken. q.mu must be held.
func (q *queue) serve(formed *plan.Formed, jobs []*job, d *device, now time.Time) *flight {
	f := &flight{Formed: formed, settled: make(chan struct{})}
	before := d.waits.Cost() + q.waits.Cost()
	for _, take := range formed.Takes {
		j := jobs[take.Job]
		f.jobs = append(f.jobs, j)
		q.take(d, j, take)
		if j.answered() { // its client has gone while the step was formed
			j.device = d
			q.ended = append(q.ended, j)
		} else {
			j.begin(d, now)
		}
		q.running += take.Count
	}
	f.turn = f.ofTurn()
	if after := d.waits.Cost() + q.waits.Cost(); after > 2*q.waits.Step() { // else there was too little to fill the step
		q.packing.note(f.Step.Cost(), before-after)
	}
	f.lead = jobs[formed.Lead]
	q.jobs = slices.DeleteFunc(q.jobs, func(j *job) bool { return j.Pending() == nil })
	q.giveWay(f.lead)
	q.steps++
	f.number = q.steps
	d.flights = append(d.flights, f)
	q.changed.Broadcast() // other devices may take what would have gone to this one
	return f
}

// giveWay puts a job behind those that wait, if it has rows left: one that leads a step when the step is formed, and once
// more when it has run, as others have come meanwhile. So a large request delays a small one by the steps that are formed
// already and no more. One that would be late by it stays. q.mu must be held.
func (q *queue) giveWay(lead *job) {
	if i := slices.Index(q.jobs, lead); i >= 0 && q.mayWait(lead) {
		q.jobs = append(slices.Delete(q.jobs, i, i+1), lead)
	}
}
