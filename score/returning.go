package score

import (
	"time"

	"scored/score/plan"
)

// returning decides whether a step waits for clients that have just been answered and
// are about to send their next request. queue.mu must be held.
//
// With several devices no step waits, because a client's next request may go to another
// device.
type returning struct {
	clients *plan.Returns
	several bool    // there are several devices
	full    int     // tokens of the largest step
	last    stepUse // of the step that was settled last
	wake    func()  // makes the devices look for work
}

// stepUse describes how much of a step its requests take up.
type stepUse struct {
	requests int // requests that end with the step
	room     int // tokens of the step that these take up: see roomOf
	own, all int // tokens of its rows beyond their prefixes; tokens that it computes
	row      int // tokens that a row takes up at least, because the bucket's rows are limited
	context  int // Bucket.Context of the step
}

// measure sums up a step's takes. The groups' Next must already include them. queue.mu
// must be held.
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

// answered records the end of a step. With failed no client of it was answered.
func (r *returning) answered(f *flight, failed bool) {
	r.last = f.use
	if failed {
		r.last.requests = 0
	}
	now := time.Now()
	r.clients.Answered(now, r.last.requests)
	if r.clients.Awaited(now) > 0 {
		time.AfterFunc(r.clients.Within(), r.wake)
	}
}

// worthWaiting reports whether it is better to wait for the clients that the running
// step answers, or that the last one has answered if running is nil. That is so if one
// step for their next requests and the waiting rows together costs less than two steps.
// rows and own are the waiting rows and their tokens beyond their prefixes.
func (r *returning) worthWaiting(running *flight, rows, own int) bool {
	if r.several {
		return false
	}
	t, coming := r.last, 0
	if running != nil {
		t = running.use
		coming = r.clients.Likely(t.requests)
	} else {
		coming = r.clients.Awaited(time.Now())
	}
	if coming == 0 || t.own == 0 {
		return false
	}
	// Assume that prefixes are as much of the waiting work as of the last step: the
	// table would know.
	waiting := t.roomOf(rows, own*t.all/t.own)
	return waiting < r.full && r.clients.Saves(t.context, waiting, coming*t.room/t.requests)
}
