package score

import "slices"

// line holds the jobs with waiting rows, in the order in which they are served.
// queue.mu must be held.
type line []*job

// add puts a job behind the others.
func (l *line) add(j *job) { *l = append(*l, j) }

// remove takes a job out, if it is there.
func (l *line) remove(j *job) {
	if i := slices.Index(*l, j); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}

// removeTaken takes the jobs out whose rows have all been taken by steps.
func (l *line) removeTaken() {
	*l = slices.DeleteFunc(*l, func(j *job) bool { return j.Pending() == nil })
}

// waiting returns the number of rows that no step has taken, and of their tokens.
func (l line) waiting() (rows, tokens int) {
	for _, j := range l {
		r, t := j.waiting()
		rows += r
		tokens += t
	}
	return rows, tokens
}

// workFor returns the number of waiting rows that d may run, and of their tokens beyond
// shared prefixes. It stops counting at the job that brings these tokens to enough.
func (l line) workFor(d *device, enough int) (rows, own int) {
	for _, j := range l {
		if j.device == nil || j.device == d {
			for _, g := range j.Groups {
				rows += g.Pending()
				own += g.PendingOwn()
			}
		}
		if own >= enough {
			break
		}
	}
	return rows, own
}
