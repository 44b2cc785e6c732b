package score

import (
	"slices"
	"time"

	"scored/score/plan"
)

// price predicts how long a job takes if nothing else waits: alone, the sum over its
// groups. missing says, by group, how many tokens of the shared prefix must still be
// computed; it is 0 where other waiting rows compute them. at is the device that the
// job will probably run on, because it holds most of the first group's prefix; nil if
// any device may take the job.
//
// price locks q.planning and q.mu. The caller must hold neither.
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

// likely returns the device that holds most of the group's shared prefix, and how many
// of its tokens the device holds. Of several equal devices it returns the least busy.
// It returns nil and 0 if no device holds any. q.planning and q.mu must be held.
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

// waitsFor returns the backlog that counts work for d, or for any device if d is nil.
// q.mu must be held.
func (q *queue) waitsFor(d *device) *plan.Backlog {
	if d != nil {
		return d.waits
	}
	return q.waits
}

// take removes the rows that a step takes from the backlog. The rest of the job moves
// to the backlog of d, together with everything that waits on the same prefix: see
// jobsFor. q.mu must be held.
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

// backlogs predicts, by device, the time left of the steps in flight and of the rows
// that wait. Work that no device has begun is added to the devices that will be free
// first. q.mu must be held.
func (q *queue) backlogs() []time.Duration {
	all := make([]time.Duration, len(q.devices))
	for i, d := range q.devices {
		all[i] = d.underWay() + q.packing.predict(d.waits.Cost())
	}
	level(all, q.packing.predict(q.waits.Cost()))
	return all
}

// packing corrects predictions by experience. It is the ratio of what recent steps cost
// to the price of the rows in them: rows of different lengths fill a step worse than
// rows that are alike. The zero value corrects nothing.
type packing struct{ cost, price float64 }

// note adds a step. The weight of earlier steps halves about every 22 steps.
func (p *packing) note(cost, price time.Duration) {
	const keep = 31. / 32
	p.cost = keep*p.cost + float64(cost)
	p.price = keep*p.price + float64(price)
}

// predict returns the predicted duration of work of this price. The correction stays
// between 0.5 and 4.
func (p *packing) predict(price time.Duration) time.Duration {
	if p.price <= 0 {
		return price
	}
	return time.Duration(float64(price) * min(max(p.cost/p.price, 0.5), 4))
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

// underWay predicts the time left of the device's steps in flight, by their price.
// queue.mu must be held.
func (d *device) underWay() (left time.Duration) {
	for _, f := range d.flights {
		left += f.Step.Cost()
	}
	if since := d.busySince.Load(); since != 0 && len(d.flights) > 0 {
		left -= min(time.Duration(d.now()-since), d.flights[0].Step.Cost())
	}
	return left
}

// predictionError is the largest relative error, as 1/n, that predictions of the
// backlog make in TestOverload.
const predictionError = 8

// refuseLate returns an error if a job would be answered later than the queue's bound
// allows. alone and at are what price returned for it. The error is TooLarge if the job
// alone exceeds the bound, else Overloaded with the time after which a retry may
// succeed. q.mu must be held.
func (q *queue) refuseLate(j *job, alone time.Duration, at *device) error {
	if q.maxBacklog == 0 || j.probe {
		return nil
	}
	if alone > q.maxBacklog {
		return Errorf(TooLarge, j.field, "request is predicted to take %s of a device, the server "+
			"takes %s at most; split the request",
			rounded(alone), rounded(q.maxBacklog))
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

// refuseEarly refuses a request before it is tokenized if it would be answered too late
// even if it took only half of what recent requests of its size took. How much of it is
// cached, and whether it is too large by itself, is known only when it has been
// tokenized. q.mu must be held.
func (q *queue) refuseEarly(req *Request) error {
	if q.maxBacklog == 0 {
		return nil
	}
	before, alone := slices.Min(q.backlogs()), q.pace.predict(req.size())
	if before > 0 && alone <= q.maxBacklog && q.late(before, alone/2) > 0 {
		return q.tooLate(before, alone)
	}
	return nil
}

// late returns by how much a request that takes alone would exceed the bound, behind
// work that takes before. It is negative if the request would be in time. q.mu must be
// held.
func (q *queue) late(before, alone time.Duration) time.Duration {
	return before + before/predictionError + alone + q.waits.Step() - q.maxBacklog
}

// tooLate returns the error of such a request, with the time after which a retry may
// succeed. q.mu must be held.
func (q *queue) tooLate(before, alone time.Duration) error {
	err := Errorf(Overloaded, "", "queue is full (%s of %s, by prediction, and the request takes "+
		"%s); retry later",
		rounded(before), rounded(q.maxBacklog), rounded(alone))
	err.Retry = q.late(before, alone)
	return err
}

// pace predicts how long a request takes before it is tokenized: by what recent
// requests were predicted to take for each unit of their size. The zero value predicts 0.
type pace struct{ alone, size float64 }

// note adds a request. The weight of earlier ones halves about every 22 requests.
func (p *pace) note(alone time.Duration, size int) {
	const keep = 31. / 32
	p.alone = keep*p.alone + float64(alone)
	p.size = keep*p.size + float64(size)
}

// predict returns the predicted duration of a request of this size.
func (p *pace) predict(size int) time.Duration {
	if p.size <= 0 {
		return 0
	}
	return time.Duration(p.alone / p.size * float64(size))
}

// size returns about how much text a request has, in bytes. A token id counts as four.
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

// rounded rounds a duration to about three digits, for messages.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

// mayWait reports whether a job can move behind all that waits and still be answered
// within the queue's bound. It leaves a quarter of the bound as reserve. q.mu must be
// held.
func (q *queue) mayWait(j *job) bool {
	if q.maxBacklog == 0 || j.device == nil {
		return true
	}
	return time.Since(j.queued)+q.backlogs()[j.device.index] <= q.maxBacklog*3/4
}
