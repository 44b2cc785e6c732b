package score

import (
	"slices"
	"time"

	"scored/score/plan"
)

// backlog predicts when the work in hand will be done, and refuses requests that would
// be answered too late. queue.mu must be held, except for max.
//
// Waiting rows are counted with the device that has begun their job, or that will
// probably run it: in device.waits. Those that any device may take are in unbegun.
type backlog struct {
	max     time.Duration // longest predicted time to an answer; 0: no bound
	devices []*device
	unbegun *plan.Backlog
	packing packing
	pace    pace
}

// price predicts how long a new job takes if nothing else waits: alone, the sum over
// its groups. It sets f.missing: for each group, how many tokens of the shared prefix
// must still be computed; 0 where other waiting rows compute them. at is the device
// that the job will probably run on, because it holds most of the first group's prefix;
// nil if any device may take the job.
func (b *backlog) price(j *job, f *found) (alone time.Duration, at *device) {
	at = j.device
	for i, g := range j.Groups {
		if g.Shared > 0 {
			likely, kept := b.likely(f.kept[i*len(b.devices):][:len(b.devices)])
			if i == 0 && j.device == nil {
				at = likely
			}
			if !b.of(at).Waits(g) {
				f.missing[i] = g.Shared - kept
			}
		}
		alone += b.unbegun.Alone(g, f.missing[i])
	}
	return alone, at
}

// likely returns the device that holds most of a prefix, and how many of its tokens the
// device holds. held has these numbers by device. Of several equal devices it returns
// the least busy. It returns nil and 0 if no device holds any.
func (b *backlog) likely(held []int) (d *device, kept int) {
	var times []time.Duration
	for i, n := range held {
		if n == 0 || n < kept {
			continue
		}
		if n == kept && times == nil {
			times = b.times()
		}
		if n > kept || times[i] < times[d.index] {
			d, kept = b.devices[i], n
		}
	}
	return d, kept
}

// of returns the rows that wait for d, or for any device if d is nil.
func (b *backlog) of(d *device) *plan.Backlog {
	if d != nil {
		return d.waits
	}
	return b.unbegun
}

// add counts the rows of a new job. at and missing are as price has them.
func (b *backlog) add(j *job, at *device, missing []int) {
	for i, g := range j.Groups {
		b.of(at).Add(g, missing[i])
	}
}

// take removes the rows that a step takes. The rest of the job is counted with d from
// now on, together with everything that waits on the same prefix: see queue.jobsFor.
func (b *backlog) take(d *device, j *job, take plan.Take) {
	d.waits.TakeAll(take.Group, b.unbegun)
	if j.device == nil {
		for _, g := range j.Groups {
			d.waits.Take(g)
		}
	}
	take.Group.Next += take.Count
	if !j.answered() {
		d.waits.Update(take.Group, take.Group.Shared-take.Shared)
	}
}

// within returns the price of the rows that d may run.
func (b *backlog) within(d *device) time.Duration { return d.waits.Cost() + b.unbegun.Cost() }

// step returns the price of the longest step.
func (b *backlog) step() time.Duration { return b.unbegun.Step() }

// times predicts, by device, the time left of the steps in flight and of the rows that
// wait. Work that no device has begun is added to the devices that will be free first.
func (b *backlog) times() []time.Duration {
	all := make([]time.Duration, len(b.devices))
	for i, d := range b.devices {
		all[i] = d.flights.left(&d.running) + b.packing.predict(d.waits.Cost())
	}
	level(all, b.packing.predict(b.unbegun.Cost()))
	return all
}

// level distributes more over the amounts, always to the smallest, so that they become
// as equal as possible. It changes amounts in place.
func level(amounts []time.Duration, more time.Duration) {
	sorted := slices.Sorted(slices.Values(amounts))
	for n := len(sorted); n > 0; n-- {
		lower := time.Duration(0) // by how much the first n are below the last of them
		for _, a := range sorted[:n] {
			lower += sorted[n-1] - a
		}
		if lower > more {
			continue
		}
		surface := sorted[n-1] + (more-lower)/time.Duration(n)
		for i := range amounts {
			amounts[i] = max(amounts[i], surface)
		}
		return
	}
}
