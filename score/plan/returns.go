package plan

import (
	"math"
	"time"
)

// Returns learns how many of those who have been answered send their next request at once, and tells whether a step had
// better wait for them. Clients that ask one request after the other fall apart into groups that take turns on the device if
// each step takes what waits when it is formed: two half-filled steps, where one that is full costs little more.
//
// It must not be used by several goroutines at once.
type Returns struct {
	ladder *Ladder
	within time.Duration // who comes back within it comes back at once

	since          time.Time // of the last answers
	answered, back int       // requests that were answered then, and that have come within that time
	sent, returned float64   // the same of all times before, those long ago counting less
}

const (
	// waitPart is what part of the cheapest step's cost a step waits at most. It bounds what anyone loses by a wait: clients
	// on the same machine come back within a tenth of a step on an H100, 0.5 ms of 5.3.
	waitPart = 4
	// leastReturns is the least share of those answered that comes back where a step waits at all. With requests that come
	// when they will, a share of 1/waitPart at most does. If fewer came, those that the wait misses were a group of their own.
	leastReturns = 0.75
	// fades is by how much less the answers of a step count than those of the next. A few steps change what is believed.
	fades = 0.75
	// worth is how many times the longest wait must be saved: half of the cheapest step. Less is within what prices are off.
	worth = 2
)

// NewReturns knows of none.
func NewReturns(l *Ladder) *Returns {
	return &Returns{ladder: l, within: l.buckets[0].Cost / waitPart}
}

// Within is how long a step waits at most.
func (r *Returns) Within() time.Duration { return r.within }

// Answered notes that so many requests have just been answered.
func (r *Returns) Answered(now time.Time, requests int) {
	if r.answered > 0 && now.Sub(r.since) >= r.within {
		r.sent = fades*r.sent + float64(r.answered)
		r.returned = fades*r.returned + float64(min(r.back, r.answered))
	}
	r.since, r.answered, r.back = now, requests, 0
}

// Came notes that a request has come.
func (r *Returns) Came(now time.Time) {
	if now.Sub(r.since) <= r.within {
		r.back++
	}
}

// Likely is how many of so many that are answered are expected at once; 0 if too few of them to wait for.
func (r *Returns) Likely(answered int) int {
	if r.returned < leastReturns*r.sent || r.sent == 0 {
		return 0
	}
	return int(math.Ceil(float64(answered) * r.returned / r.sent))
}

// Awaited is how many of those answered last are still expected.
func (r *Returns) Awaited(now time.Time) int {
	if now.Sub(r.since) >= r.within {
		return 0
	}
	return max(r.Likely(r.answered)-r.back, 0)
}

// Saves tells whether steps for all of those tokens together save so much, against steps for what waits and then for what
// comes, that waiting pays. Their prefixes have as many tokens as context.
func (r *Returns) Saves(context, waiting, coming int) bool {
	s := r.ladder.sizeFor(context)
	return s.least(waiting, 0)+s.least(coming, 0)-s.least(waiting+coming, 0) > worth*float64(r.within)
}
