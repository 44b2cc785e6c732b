package profile

import (
	"sort"

	"scored/score"
)

// gap is all the time that the device was idle for one cause, in nanoseconds.
type gap struct {
	cause   string
	time    float64 // in all
	longest float64
	count   int
}

// gapCauses are tried in this order. Requests in several stages may be in the server at
// once; idle time is attributed to the stage that is nearest to the device, because that
// is the one that could have given it work.
var gapCauses = []struct {
	stage score.Stage
	cause string
}{
	{score.StageWait, "rows waited: the host was late to form or launch a step"},
	{score.StageRun, "a request was between two of its steps"},
	{score.StageEncode, "requests were being tokenized"},
	{score.StageRead, "bodies were arriving"},
	{score.StageReply, "answers were being written"},
}

// gaps attributes all of the device's idle time, the window without busy: within a step
// to the phase of the step, which only a device's own trace shows, and between steps to
// the stages of requests. The times of all gaps add up to the idle time.
func (s *summary) gaps() []gap {
	_, idle := divide([]interval{s.window}, s.busy)
	inner, edges := s.withinSteps()
	within, idle := divide(idle, inner)
	found := appendGap(nil, "a step was between two of its kernels", within)
	within, idle = divide(idle, edges)
	found = appendGap(found, "a step had its inputs packed, or its answers read", within)
	if len(s.stages) == 0 {
		return appendGap(found, "unknown: the trace shows no requests", idle)
	}
	for _, c := range gapCauses {
		var here []interval
		here, idle = divide(idle, union(s.stages[string(c.stage)]))
		found = appendGap(found, c.cause, here)
	}
	return appendGap(found, "no request was in the server", idle)
}

// withinSteps returns the time of each step from its first kernel to its last, and the
// time of each step on the host's clock, which is longer by packing and reading. Both are
// unions. They are nil without a device's own trace.
func (s *summary) withinSteps() (inner, edges []interval) {
	if !s.traced {
		return nil, nil
	}
	for _, step := range s.stepTimes {
		first := sort.Search(len(s.busy), func(i int) bool { return s.busy[i].end > step.start })
		behind := sort.Search(len(s.busy), func(i int) bool { return s.busy[i].start >= step.end })
		if first < behind {
			inner = append(inner, interval{max(step.start, s.busy[first].start),
				min(step.end, s.busy[behind-1].end)})
		}
	}
	return union(inner), union(s.stepTimes)
}

// appendGap adds the idle intervals of a cause, if there are any.
func appendGap(gaps []gap, cause string, idle []interval) []gap {
	if len(idle) == 0 {
		return gaps
	}
	return append(gaps, gap{cause: cause, time: total(idle), longest: longest(idle), count: len(idle)})
}
