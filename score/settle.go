package score

import (
	"errors"
	"fmt"
)

// errMissed spoils a step that read a prefix which an earlier step must compute once
// more. The spoiled step runs again, too.
var errMissed = errors.New("the step that was to compute its prefix did not")

// runAgain marks a step to be run again by itself, and reports whether it will be.
// Steps that are queued behind it and read slots that it was to write have read nothing
// valid; they are run again, too.
//
// It returns false if a step queued behind writes to slots of this step's prefixes: a
// prefix is dropped as soon as the last step that reads it is planned, so it may be
// gone.
func (q *queue) runAgain(d *device, f *flight) bool {
	// A step that is being formed relies on the slots that this one was to write.
	q.tables.mu.Lock()
	defer q.tables.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.service.lost != nil || f.spoiled != nil && f.spoiled != errMissed {
		return false
	}
	for _, later := range d.flights.behind(f) {
		if !later.again && overwrites(later.Step, f.Step) {
			return false
		}
	}
	for _, later := range d.flights.behind(f) {
		if !later.again && reads(later.Step, f.Step) {
			later.spoiled = errMissed
		}
	}
	f.again, f.spoiled = true, nil
	if d.flights[0] == f {
		d.running.start()
	}
	q.changed.Broadcast()
	return true
}

// missed reports whether the step ran on a prefix that was not there.
func (q *queue) missed(f *flight) bool { return q.spoiledBy(f) == errMissed }

// spoiledBy returns why the step's answers mean nothing though it ran, or nil if they
// are good.
func (q *queue) spoiledBy(f *flight) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return f.spoiled
}

// forget removes from the device's prefix table the tokens that a failed step was to
// compute. If the whole cache was lost, it empties the table. Steps that are still to
// run fail, too, if they read any of these tokens.
func (q *queue) forget(d *device, f *flight, cause error) {
	q.tables.mu.Lock()
	defer q.tables.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	planner := q.tables.planners[d.index]
	all := errors.Is(cause, ErrCache)
	if all {
		planner.Reset()
	} else {
		planner.Forget(f.ID)
	}
	for _, later := range d.flights {
		if later != f && (all && readsCache(later.Step) || reads(later.Step, f.Step)) {
			later.spoiled = fmt.Errorf("the step that computed its prefix failed: %w", cause)
		}
	}
}

// settle ends a step: it hands the answers, one for each row, to the jobs, or fails the
// jobs with err.
func (q *queue) settle(d *device, f *flight, answers [][]float32, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.flights.remove(f)
	d.running.stop()
	if len(d.flights) > 0 {
		d.running.start()
		d.wakeNearEnd(d.flights[0])
	}
	q.underWay.end()
	q.line.giveWay(f.lead, &q.backlog)
	q.returning.answered(f, err != nil)
	for i, take := range f.Takes {
		j := f.jobs[i]
		q.running -= take.Count
		var mine [][]float32
		if err == nil {
			mine, answers = answers[:take.Count], answers[take.Count:]
		}
		switch {
		case j.answered(): // its client left, or a device was lost
		case err != nil:
			q.fail(j, err)
		default:
			j.reused += take.Count*take.Shared - take.New
			for k, answer := range mine {
				j.take(take.Group, take.From+k, answer)
			}
			if j.left -= take.Count; j.left == 0 {
				q.end(j, nil)
			}
		}
	}
}
