package score

import (
	"slices"
	"time"
)

// predictionError is the largest relative error, as 1/n, that predictions of the
// backlog make in TestOverload.
const predictionError = 8

// refuseLate returns an error if a job would be answered later than the bound allows.
// alone and at are the results of price for it. The error is TooLarge if the job alone
// exceeds the bound, else Overloaded with the time after which a retry may succeed.
func (b *backlog) refuseLate(j *job, alone time.Duration, at *device) error {
	if b.max == 0 || j.probe {
		return nil
	}
	if alone > b.max {
		return Errorf(TooLarge, j.field, "request is predicted to take %s of a device, the server "+
			"takes %s at most; split the request",
			rounded(alone), rounded(b.max))
	}
	times := b.times()
	before := slices.Min(times)
	if at != nil {
		before = times[at.index]
	}
	if before > 0 && b.late(before, alone) > 0 {
		return b.tooLate(before, alone)
	}
	return nil
}

// refuseEarly refuses a request before it is tokenized if it would be answered too late
// even if it took only half as long as recent requests of its size. How much of it is
// cached, and whether it is too large by itself, is known only when it has been
// tokenized.
func (b *backlog) refuseEarly(req *Request) error {
	if b.max == 0 {
		return nil
	}
	before, alone := slices.Min(b.times()), b.pace.predict(req.size())
	if before > 0 && alone <= b.max && b.late(before, alone/2) > 0 {
		return b.tooLate(before, alone)
	}
	return nil
}

// late returns by how much a request that takes alone would exceed the bound, behind
// work that takes before. It is negative if the request would be in time.
func (b *backlog) late(before, alone time.Duration) time.Duration {
	return before + before/predictionError + alone + b.step() - b.max
}

// tooLate returns the error of such a request, with the time after which a retry may
// succeed.
func (b *backlog) tooLate(before, alone time.Duration) error {
	err := Errorf(Overloaded, "", "queue is full (%s of %s, by prediction, and the request takes "+
		"%s); retry later",
		rounded(before), rounded(b.max), rounded(alone))
	err.Retry = b.late(before, alone)
	return err
}

// rounded rounds a duration to about three digits, for messages.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}
