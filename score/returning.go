package score

import "time"

// stepUse describes how much of a step its requests take up. It helps to decide whether
// to wait for the clients that the step answers: see worthWaiting.
type stepUse struct {
	requests int // requests that end with the step
	room     int // tokens of the step that these take up: see roomOf
	own, all int // tokens of its rows beyond their prefixes; tokens that it computes
	row      int // tokens that a row takes up at least, because the bucket's rows are limited
	context  int // Bucket.Context of the step
}

// measure sums up a step's takes. The groups' Next must already include them. q.mu must
// be held.
func (f *flight) measure() stepUse {
	b := f.Step.Bucket
	t := stepUse{all: f.Step.Computed(), row: b.Tokens / b.Rows, context: b.Context}
	row := 0
	for i, take := range f.Takes {
		own := 0
		for range take.Count {
			own += len(f.Step.Rows[row].Own())
			row++
		}
		t.own += own
		if j := f.jobs[i]; j.Pending() == nil {
			t.room += t.roomOf(take.Count, take.New+own)
			if take.Group == j.Groups[len(j.Groups)-1] {
				t.requests++
			}
		}
	}
	return t
}

// roomOf returns how many tokens of a step like this one the rows take up.
func (t stepUse) roomOf(rows, tokens int) int { return max(tokens, rows*t.row) }

// answered records the end of a step. q.mu must be held.
func (q *queue) answered(d *device, f *flight, err error) {
	d.last = f.use
	if err != nil {
		d.last.requests = 0
	}
	now := time.Now()
	q.returns.Answered(now, d.last.requests)
	if q.returns.Awaited(now) > 0 {
		time.AfterFunc(q.returns.Within(), q.wake)
	}
}

// worthWaiting reports whether it is better to wait for the clients that the running
// step answers, or that the last one has answered. That is so if one step for their
// next requests and the waiting rows together costs less than two steps. rows and own
// are the waiting rows and their tokens beyond their prefixes. With several devices it
// is false, because a client's next request may go to another device. q.mu must be
// held.
func (q *queue) worthWaiting(d *device, rows, own int) bool {
	if len(q.devices) > 1 {
		return false
	}
	t, coming := d.last, 0
	if len(d.flights) > 0 {
		t = d.flights[0].use
		coming = q.returns.Likely(t.requests)
	} else {
		coming = q.returns.Awaited(time.Now())
	}
	if coming == 0 || t.own == 0 {
		return false
	}
	// Assume that prefixes are as much of the waiting work as of the last step: the
	// table would know.
	waiting := t.roomOf(rows, own*t.all/t.own)
	return waiting < d.full && q.returns.Saves(t.context, waiting, coming*t.room/t.requests)
}
