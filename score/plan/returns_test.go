package plan

import (
	"testing"
	"time"
)

// returns has steps of 4 ms and little more: who comes back within 1 ms comes back at
// once.
func returns(t *testing.T) *Returns {
	return NewReturns(ladder(t, 64, Bucket{Tokens: 64, Rows: 8, Length: 64, Cost: 4 * time.Millisecond},
		Bucket{Tokens: 128, Rows: 8, Length: 64, Cost: 5 * time.Millisecond}))
}

// answer plays a step that answers so many, of whom some come back after a time.
func (r *Returns) answer(now *time.Time, requests, back int, after time.Duration) {
	r.Answered(*now, requests)
	for range back {
		r.Came(now.Add(after))
	}
	*now = now.Add(10 * time.Millisecond)
}

// TestReturns: clients are awaited that have come back at once so far, and nobody before
// anyone has, nor where many do not.
func TestReturns(t *testing.T) {
	for _, c := range []struct {
		what           string
		requests, back int
		after          time.Duration
		want           int // of eight
	}{
		{"all come back", 10, 10, time.Millisecond / 2, 8},
		{"nearly all do", 20, 18, time.Millisecond / 2, 8}, // who is not awaited would be a group of their own
		{"three quarters do", 20, 15, time.Millisecond, 6},
		{"half do", 10, 5, 0, 0},
		{"they take too long", 10, 10, time.Millisecond + 1, 0},
		{"others come, too", 4, 9, 0, 8},
		{"nobody does", 10, 0, 0, 0},
	} {
		r, now := returns(t), time.Unix(1, 0)
		if n := r.Likely(8); n != 0 {
			t.Errorf("%s: %d of 8 are expected before anyone was answered", c.what, n)
		}
		for range 5 {
			r.answer(&now, c.requests, c.back, c.after)
		}
		r.Answered(now, 8)
		if n := r.Likely(8); n != c.want || r.Awaited(now) != c.want {
			t.Errorf("%s: %d of 8 are expected and %d awaited, want %d", c.what, n, r.Awaited(now), c.want)
		}
	}
}

// TestAwaited: no longer than a quarter of the cheapest step, and only those who have not
// come yet.
func TestAwaited(t *testing.T) {
	r, now := returns(t), time.Unix(1, 0)
	r.answer(&now, 8, 8, 0)
	r.Answered(now, 8)
	for came := range 8 {
		if n := r.Awaited(now.Add(time.Millisecond - 1)); n != 8-came {
			t.Errorf("%d are awaited when %d of 8 have come back", n, came)
		}
		r.Came(now)
	}
	r.Came(now) // one more than were answered
	if n := r.Awaited(now); n != 0 {
		t.Errorf("%d are awaited when all have come back", n)
	}
	r.Answered(now, 8)
	if n := r.Awaited(now.Add(time.Millisecond)); n != 0 {
		t.Errorf("%d are awaited after a quarter of a step", n)
	}
}

// TestReturnsFade: when clients that came back leave, a few steps wait for them, and no
// more; and the other way round.
func TestReturnsFade(t *testing.T) {
	r, now := returns(t), time.Unix(1, 0)
	for range 100 {
		r.answer(&now, 8, 8, 0)
	}
	waits := 0
	for ; r.Likely(8) > 0 && waits < 100; waits++ {
		r.answer(&now, 8, 0, 0)
	}
	learns := 0
	for ; r.Likely(8) == 0 && learns < 100; learns++ {
		r.answer(&now, 8, 8, 0)
	}
	if waits > 4 || learns > 10 {
		t.Errorf("%d steps wait for clients that have left, and %d do not for those that are back", waits, learns)
	}
}

// TestSaves: one step that takes all is worth a wait where it is cheap, and none where
// both parts need a step of their own.
func TestSaves(t *testing.T) {
	r := returns(t)
	for _, c := range []struct {
		waiting, coming int
		want            bool
	}{{10, 50, true}, {64, 64, true}, {64, 65, false}, {128, 10, false}, {0, 64, false}, {64, 0, false}} {
		if got := r.Saves(0, c.waiting, c.coming); got != c.want {
			t.Errorf("%d tokens wait and %d come: a wait pays: %t, want %t", c.waiting, c.coming, got, c.want)
		}
	}
}
