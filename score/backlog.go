package score

import (
	"slices"
	"time"

	"scored/score/plan"
)

// price says what a job is predicted to take if nothing else waits, and, for each of its groups, how many tokens of the
// prefix have still to be computed. Those that others wait for are theirs. at is the device that the job is likely to go to,
// which has the most of what its first group shares; nil if any may take it. It takes both locks.
func (q *queue) price(j *job) (alone time.Duration, missing []int, at *device) {
	q.planning.Lock()
	defer q.planning.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	at = j.device
	missing = make([]int, len(j.Groups))
	for i, g := range j.Groups {
		if g.Shared > 0 {
			likely, kept := q.likely(g)
			if i == 0 && j.device == nil {
				at = likely
			}
			if !q.waitsFor(at).Waits(g) {
				missing[i] = g.Shared - kept
			}
		}
		alone += q.waits.Alone(g, missing[i])
	}
	return alone, missing, at
}

// likely is the device that holds the most of what the group's rows share, the least busy if several do, and how many tokens
// that is; nil and 0 if none holds any. Both locks must be held.
func (q *queue) likely(g *plan.Group) (d *device, kept int) {
	var backlogs []time.Duration
	for _, other := range q.devices {
		n := other.planner.Match(g)
		if n == 0 || n < kept {
			continue
		}
		if n == kept && backlogs == nil {
			backlogs = q.backlogs()
		}
		if n > kept || backlogs[other.index] < backlogs[d.index] {
			d, kept = other, n
		}
	}
	return d, kept
}

// waitsFor is where to count what waits for a device, or for any if it is nil. q.mu must be held.
func (q *queue) waitsFor(d *device) *plan.Backlog {
	if d != nil {
		return d.waits
	}
	return q.waits
}

// take counts what a step takes from a group as waiting no more. The job is the device's from now on, and so is what waits
// on the same prefix: see jobsFor. q.mu must be held.
func (q *queue) take(d *device, j *job, take plan.Take) {
	d.waits.TakeAll(take.Group, q.waits)
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

// backlogs is, by device, what is predicted to be left of the steps under way and of what waits. What no device has begun
// goes to those that are free first. q.mu must be held.
func (q *queue) backlogs() []time.Duration {
	all := make([]time.Duration, len(q.devices))
	for i, d := range q.devices {
		all[i] = d.underWay() + q.packing.of(d.waits.Cost())
	}
	level(all, q.packing.of(q.waits.Cost()))
	return all
}

// packing is by how much steps cost more, or less, than the price of what they take: rows that differ fill them otherwise
// than rows that are alike.
type packing struct{ cost, price float64 }

// note takes a step into account, and steps before it less and less.
func (p *packing) note(cost, price time.Duration) {
	const keep = 31. / 32
	p.cost = keep*p.cost + float64(cost)
	p.price = keep*p.price + float64(price)
}

// of is what work of this price is predicted to take.
func (p *packing) of(price time.Duration) time.Duration {
	if p.price <= 0 {
		return price
	}
	return time.Duration(float64(price) * min(max(p.cost/p.price, 0.5), 4))
}

// level adds more to the least of the amounts, so that they come as near to each other as they can.
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

// underWay is what is left of the device's steps, by their price. queue.mu must be held.
func (d *device) underWay() (left time.Duration) {
	for _, f := range d.flights {
		left += f.Step.Cost()
	}
	if since := d.busySince.Load(); since != 0 && len(d.flights) > 0 {
		left -= min(time.Duration(d.now()-since), d.flights[0].Step.Cost())
	}
	return left
}

// errs is the part by which predictions of what waits err at most, as TestOverload has it.
const errs = 8

// refuseLate is an error if a job would be answered later than the queue's bound allows. alone is what it takes by itself,
// and at where it is likely to go. q.mu must be held.
func (q *queue) refuseLate(j *job, alone time.Duration, at *device) error {
	if q.maxBacklog == 0 || j.probe {
		return nil
	}
	if alone > q.maxBacklog {
		return Errorf(TooLarge, j.field, "request is predicted to take %s of a device, the server takes %s at most; split the request",
			shown(alone), shown(q.maxBacklog))
	}
	backlogs := q.backlogs()
	before := slices.Min(backlogs)
	if at != nil {
		before = backlogs[at.index]
	}
	if before > 0 && q.late(before, alone) > 0 {
		return q.tooLate(before, alone)
	}
	return nil
}

// refuseEarly refuses a request before it is tokenized, if it would be answered too late even if it took half of what requests
// of its size took of late: how much of it is cached, its prompts will tell, and whether it is too large by itself. q.mu must be
// held.
func (q *queue) refuseEarly(req *Request) error {
	if q.maxBacklog == 0 {
		return nil
	}
	before, alone := slices.Min(q.backlogs()), q.pace.of(req.size())
	if before > 0 && alone <= q.maxBacklog && q.late(before, alone/2) > 0 {
		return q.tooLate(before, alone)
	}
	return nil
}

// late is by how much a request that takes alone would pass the bound, after work that takes before.
func (q *queue) late(before, alone time.Duration) time.Duration {
	return before + before/errs + alone + q.waits.Step() - q.maxBacklog
}

// tooLate refuses such a request until there is room for it.
func (q *queue) tooLate(before, alone time.Duration) error {
	err := Errorf(Overloaded, "", "queue is full (%s of %s, by prediction, and the request takes %s); retry later",
		shown(before), shown(q.maxBacklog), shown(alone))
	err.Retry = q.late(before, alone)
	return err
}

// pace is what requests were predicted to take by themselves for each unit of their size, of late.
type pace struct{ alone, size float64 }

// note takes a request into account, and those before it less and less.
func (p *pace) note(alone time.Duration, size int) {
	const keep = 31. / 32
	p.alone = keep*p.alone + float64(alone)
	p.size = keep*p.size + float64(size)
}

// of is what a request of this size is likely to take.
func (p *pace) of(size int) time.Duration {
	if p.size <= 0 {
		return 0
	}
	return time.Duration(p.alone / p.size * float64(size))
}

// size is about how much text a request has, in bytes: an id stands for four.
func (r *Request) size() int {
	of := func(p Part) int { return len(p.Text) + 4*len(p.Tokens) }
	n := of(r.Query)
	for _, item := range r.Items {
		n += of(item)
	}
	for _, query := range r.Queries {
		n += len(query)
	}
	return n
}

// shown is a time to three digits or so.
func shown(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

// mayWait tells whether a job that gives way to all that waits can still be answered within the queue's bound. q.mu must be
// held.
func (q *queue) mayWait(j *job) bool {
	if q.maxBacklog == 0 || j.device == nil {
		return true
	}
	return time.Since(j.queued)+q.backlogs()[j.device.index] <= q.maxBacklog*3/4
}
