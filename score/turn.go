package score

import "time"

// turn is what a step does for those who wait for it.
type turn struct {
	requests int // that end with it
	room     int // tokens of the step that they take up: see roomOf
	own, all int // tokens of its rows beyond their prefixes, and all that it computes
	row      int // tokens that a row takes up at least, as the bucket has rows for no shorter ones
	context  int
}

// ofTurn sums a step's takes up, of which the groups know already.
func (f *flight) ofTurn() turn {
	b := f.Step.Bucket
	t := turn{all: f.Step.Computed(), row: b.Tokens / b.Rows, context: b.Context}
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

// roomOf is how many tokens of a step like this one rows take up.
func (t turn) roomOf(rows, tokens int) int { return max(tokens, rows*t.row) }

// answered notes a step's end. q.mu must be held.
func (q *queue) answered(d *device, f *flight, err error) {
	d.last = f.turn
	if err != nil {
		d.last.requests = 0
	}
	now := time.Now()
	q.returns.Answered(now, d.last.requests)
	if q.returns.Awaited(now) > 0 {
		time.AfterFunc(q.returns.Within(), q.wake)
	}
}

// betterLater tells whether to wait for those whom the step answers that runs, or that has just ended: one step for them and
// what waits would cost less than one now and one then. So many rows wait, with so many tokens beyond their prefixes. With
// several devices nobody waits: who comes back may go to another. q.mu must be held.
func (q *queue) betterLater(d *device, rows, own int) bool {
	if len(q.devices) > 1 {
		return false
	}
	t, coming := d.last, 0
	if len(d.flights) > 0 {
		t = d.flights[0].turn
		coming = q.returns.Likely(t.requests)
	} else {
		coming = q.returns.Awaited(time.Now())
	}
	if coming == 0 || t.own == 0 {
		return false
	}
	waiting := t.roomOf(rows, own*t.all/t.own) // as much of it prefixes as there, of which the table would know
	return waiting < d.full && q.returns.Saves(t.context, waiting, coming*t.room/t.requests)
}
