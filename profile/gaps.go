package profile

import "scored/score"

// gap is all the time that the device stood idle for one cause.
type gap struct {
	cause   string
	time    float64
	longest float64
	count   int
}

// gapCauses are tried in this order: an idle device is put down to the request that was nearest to it.
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

// gaps explains the device's idle time by what the requests were at.
func (s *summary) gaps() []gap {
	_, idle := divide([]interval{s.window}, s.busy)
	if len(s.stages) == 0 {
		return appendGap(nil, "unknown: the trace shows no requests", idle)
	}
	var found []gap
	for _, c := range gapCauses {
		var here []interval
		here, idle = divide(idle, union(s.stages[string(c.stage)]))
		found = appendGap(found, c.cause, here)
	}
	return appendGap(found, "no request was in the server", idle)
}

func appendGap(gaps []gap, cause string, idle []interval) []gap {
	if len(idle) == 0 {
		return gaps
	}
	return append(gaps, gap{cause: cause, time: total(idle), longest: longest(idle), count: len(idle)})
}
