package score

import (
	"slices"
	"time"
)

// Fairness: the job that leads a step goes to the end of the line, so that every waiting
// job leads in its turn. The server limits what one client may have in the line.

// giveWay moves a job that has rows left behind the others that wait. It is called for
// the job that leads a step, when the step is formed and again when it has run. So a
// large request delays a small one only by the steps that are formed already. A job
// that would be answered too late keeps its place. queue.mu must be held.
func (l *line) giveWay(lead *job, b *backlog) {
	if slices.Contains(*l, lead) && b.mayWait(lead) {
		l.remove(lead)
		l.add(lead)
	}
}

// mayWait reports whether a job can move behind all that waits and still be answered
// within the bound. It leaves a quarter of the bound as reserve.
func (b *backlog) mayWait(j *job) bool {
	if b.max == 0 || j.device == nil {
		return true
	}
	return time.Since(j.queued)+b.times()[j.device.index] <= b.max*3/4
}
