package plan

import (
	"math"
	"time"
)

// Returns learns how many of the clients that have been answered send their next
// request at once, and decides whether a step should wait for these requests.
//
// Without it, clients that ask one request after the other fall apart into two groups
// that alternate on the device: each step takes the rows that wait when it is formed, so
// there are two half-filled steps where one full step would cost little more.
//
// It must not be used by several goroutines at once.
type Returns struct {
	ladder *Ladder
	within time.Duration // a request that comes within it after an answer comes at once

	since          time.Time // when the last answers were given
	answered, back int       // requests answered then, and requests that came at once after that
	sent, returned float64   // sums of answered and back over earlier steps, fading with age
}

const (
	// waitFraction says that a step waits at most 1/waitFraction of the cheapest step's
	// cost. This bounds the time a request loses by a wait. Clients on the same machine
	// return within a tenth of a step on an H100, 0.5 ms of 5.3 ms.
	waitFraction = 4
	// minReturnShare is the smallest share of returning clients for which a step waits.
	// Of requests that come at random, a share of at most 1/waitFraction comes at once.
	// If fewer clients returned, those that the wait misses would form a group of their
	// own.
	minReturnShare = 0.75
	// decay is the weight of a step's answers relative to those of the next. A few
	// steps change the estimate.
	decay = 0.75
	// minSaving is how many times the longest wait must be saved: half of the cheapest
	// step. A smaller saving is within the error of prices.
	minSaving = 2
)

// NewReturns returns a Returns that has seen no requests and therefore never waits.
func NewReturns(l *Ladder) *Returns {
	return &Returns{ladder: l, within: l.buckets[0].Cost / waitFraction}
}

// Within returns how long a step waits at most.
func (r *Returns) Within() time.Duration { return r.within }

// Answered records that requests have just been answered by one step.
func (r *Returns) Answered(now time.Time, requests int) {
	if r.answered > 0 && now.Sub(r.since) >= r.within {
		r.sent = decay*r.sent + float64(r.answered)
		r.returned = decay*r.returned + float64(min(r.back, r.answered))
	}
	r.since, r.answered, r.back = now, requests, 0
}

// Came records that a request has come.
func (r *Returns) Came(now time.Time) {
	if now.Sub(r.since) <= r.within {
		r.back++
	}
}

// Likely returns how many of the answered clients are expected to return at once, or 0
// if too few to wait for.
func (r *Returns) Likely(answered int) int {
	if r.returned < minReturnShare*r.sent || r.sent == 0 {
		return 0
	}
	return int(math.Ceil(float64(answered) * r.returned / r.sent))
}

// Awaited returns how many of the clients answered last are still expected.
func (r *Returns) Awaited(now time.Time) int {
	if now.Sub(r.since) >= r.within {
		return 0
	}
	return max(r.Likely(r.answered)-r.back, 0)
}

// Saves reports whether waiting pays: whether steps for the waiting and the coming
// tokens together cost so much less than steps for the waiting tokens and then for the
// coming ones. context is the number of tokens of their prefixes.
func (r *Returns) Saves(context, waiting, coming int) bool {
	s := r.ladder.sizeFor(context)
	return s.least(waiting, 0)+s.least(coming, 0)-s.least(waiting+coming,
		0) > minSaving*float64(r.within)
}
