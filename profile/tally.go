package profile

import (
	"cmp"
	"maps"
	"slices"

	"scored/profile/internal/xplane"
)

// tally adds up work by name: runs of executables, of ops, or of kinds of ops.
type tally map[string]*work

// add adds a run that took took nanoseconds, with the cost that the event or its kind
// has.
func (t tally) add(name string, plane *xplane.XPlane, event *xplane.XEvent, took float64) {
	w := t.addTime(name, took)
	meta := plane.GetEventMetadata()[event.GetMetadataId()].GetStats()
	w.flops += cmp.Or(numberStat(plane, event.GetStats(), statFlops),
		numberStat(plane, meta, statFlops))
	w.bytes += cmp.Or(numberStat(plane, event.GetStats(), statBytes),
		numberStat(plane, meta, statBytes))
}

// addTime adds a run that took took nanoseconds, without a cost.
func (t tally) addTime(name string, took float64) *work {
	w := t[name]
	if w == nil {
		w = &work{name: name}
		t[name] = w
	}
	w.runs++
	w.time += took
	w.longest = max(w.longest, took)
	return w
}

// sorted lists the work by total time, longest first.
func (t tally) sorted() []*work {
	return slices.SortedFunc(maps.Values(t),
		func(a, b *work) int { return descending(a.time, b.time, a.name, b.name) })
}

// descending compares by the figures, larger first, and equal figures by the names, so
// that the same trace always gives the same report.
func descending(a, b float64, nameA, nameB string) int {
	return cmp.Or(cmp.Compare(b, a), cmp.Compare(nameA, nameB))
}

// clock converts the times of events to nanoseconds since the trace began. Profilers
// count them from 1970 or from the begin of their session.
type clock struct {
	base    int64 // smallest timestamp of a line, in ns
	window  interval
	bounded bool // window is the session's, as its profiler recorded it
}

// newClock finds the begin and the window of a trace. XLA's profilers record the window
// in a plane of its own, in time since 1970. It is used if lines count from the session's
// begin, which is the window's, too.
func newClock(space *xplane.XSpace) clock {
	var c clock
	first := true
	var started, stopped int64
	for _, plane := range space.GetPlanes() {
		if plane.GetName() == taskPlane {
			started, stopped = unixStat(plane, statStart), unixStat(plane, statStop)
		}
		for _, line := range plane.GetLines() {
			if len(line.GetEvents()) > 0 && (first || line.GetTimestampNs() < c.base) {
				c.base, first = line.GetTimestampNs(), false
			}
		}
	}
	if c.base < unixLine { // lines count from the session's begin
		c.base = 0
		c.bounded = started > 0 && stopped > started
	}
	if c.bounded {
		c.window = interval{0, float64(stopped - started)}
	}
	return c
}

// interval returns the time of an event of a line.
func (c clock) interval(line *xplane.XLine, event *xplane.XEvent) interval {
	start := float64(line.GetTimestampNs()-c.base) + float64(event.GetOffsetPs())/1e3
	return interval{start, start + max(0, float64(event.GetDurationPs())/1e3)}
}

// unixStat returns a plane's stat that counts ns since 1970; 0 if there is none. A
// float64 would be too coarse.
func unixStat(plane *xplane.XPlane, name string) int64 {
	switch v := statNamed(plane, plane.GetStats(), name).(type) {
	case int64:
		return v
	case uint64:
		return int64(v)
	default:
		return 0
	}
}

// numberStat returns the stat of that name as a number; 0 if there is none.
func numberStat(plane *xplane.XPlane, stats []*xplane.XStat, name string) float64 {
	switch v := statNamed(plane, stats, name).(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		return v
	default:
		return 0
	}
}

// stringStat returns the stat of that name if it is a string, else "".
func stringStat(plane *xplane.XPlane, stats []*xplane.XStat, name string) string {
	s, _ := statNamed(plane, stats, name).(string)
	return s
}

// statNamed returns the value of the stat of that name, or nil.
func statNamed(plane *xplane.XPlane, stats []*xplane.XStat, name string) any {
	for _, stat := range stats {
		if plane.GetStatMetadata()[stat.GetMetadataId()].GetName() == name {
			return statValue(plane, stat)
		}
	}
	return nil
}
