package score

import (
	"errors"
	"fmt"
	"slices"
)

// errMissed spoils a step that ran on a prefix which one before it is to compute once more: it is run again too.
var errMissed = errors.New("the step that was to compute its prefix did not")

// runAgain keeps a step for the device to run by itself, and tells whether it will. What is queued behind it and reads what
// it was to write has read nothing, and comes again as well. It is too late if what is queued behind it writes to where its
// prefixes are: prefixes are dropped as soon as the last step that reads them is planned.
func (q *queue) runAgain(d *device, f *flight) bool {
	q.planning.Lock() // a step that is being formed counts on what this one was to write
	defer q.planning.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost != nil || f.spoiled != nil && f.spoiled != errMissed {
		return false
	}
	for _, later := range d.behind(f) {
		if !later.again && overwrites(later.Step, f.Step) {
			return false
		}
	}
	for _, later := range d.behind(f) {
		if !later.again && reads(later.Step, f.Step) {
			later.spoiled = errMissed
		}
	}
	f.again, f.spoiled = true, nil
	if d.flights[0] == f {
		d.busySince.Store(d.now())
	}
	q.changed.Broadcast()
	return true
}

// missed tells whether the step ran on a prefix that was not there.
func (q *queue) missed(f *flight) bool { return q.spoiledBy(f) == errMissed }

// first is the step that the device runs again next; nil if there is none, or if steps that are not to run again must end
// before. queue.mu must be held.
func (d *device) first() *flight {
	if len(d.flights) == 0 || slices.ContainsFunc(d.flights, func(f *flight) bool { return !f.again }) {
		return nil
	}
	return d.flights[0]
}

// behind are the steps queued behind another. queue.mu must be held.
func (d *device) behind(f *flight) []*flight {
	return d.flights[slices.Index(d.flights, f)+1:]
}

// spoiledBy is why the step's answers mean nothing though it ran; nil if they do.
func (q *queue) spoiledBy(f *flight) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return f.spoiled
}

// forget drops what a step that failed was to compute from the device's table, and with a lost cache everything. A step
// that is still to run fails too if it reads any of that, and only then.
func (q *queue) forget(d *device, f *flight, cause error) {
	q.planning.Lock()
	defer q.planning.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	all := errors.Is(cause, ErrCache)
	if all {
		d.planner.Reset()
	} else {
		d.planner.Forget(f.Number)
	}
	for _, later := range d.flights {
		if later != f && (all && readsCache(later.Step) || reads(later.Step, f.Step)) {
			later.spoiled = fmt.Errorf("the step that computed its prefix failed: %w", cause)
		}
	}
}

// settle hands out a step's answers, or its failure.
func (q *queue) settle(d *device, f *flight, answers [][]float32, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.flights = slices.DeleteFunc(d.flights, func(other *flight) bool { return other == f })
	d.busySince.Store(0)
	if len(d.flights) > 0 {
		d.busySince.Store(d.now())
		d.wakeNearEnd(d.flights[0])
	}
	q.busy--
	q.changed.Broadcast()
	q.giveWay(f.lead)
	q.answered(d, f, err)
	for i, take := range f.Takes {
		j := f.jobs[i]
		q.running -= take.Count
		var mine [][]float32
		if err == nil {
			mine, answers = answers[:take.Count], answers[take.Count:]
		}
		switch {
		case j.answered(): // its client has gone, or a device was lost
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

// flush drops the prefixes of every device, unless there is work in hand, and tells how many there were.
func (q *queue) flush() (dropped int, err error) {
	q.planning.Lock()
	defer q.planning.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.openLocked(); q.lost != nil {
		return 0, err
	}
	if len(q.inHand) > 0 || q.closed {
		rows, _ := q.waiting()
		return 0, Errorf(Unavailable, "", "cache not flushed: %d rows wait and %d run; retry when the server is idle", rows, q.running)
	}
	q.release()
	for _, d := range q.devices {
		dropped += d.planner.Reset()
	}
	return dropped, nil
}
