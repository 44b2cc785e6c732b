package profile

import (
	"maps"
	"slices"
	"strings"

	"scored/profile/internal/xplane"
	"scored/score"
)

// summarizer adds up a trace plane by plane. Its summary is complete after finish.
type summarizer struct {
	summary  *summary
	clock    clock
	busy     []interval // of all devices, in no order
	requests map[string]*served

	// work by name: see the fields of summary
	buckets, modules, ops, kinds tally
}

// summarize reads any profiler's XSpace. What the space lacks is left out of the
// summary.
func summarize(space *xplane.XSpace) *summary {
	s := &summary{stages: map[string][]interval{}, traced: tracedDevice(space),
		warnings: slices.Concat(space.Errors, space.Warnings)}
	if len(space.Hostnames) > 0 {
		s.host = space.Hostnames[0]
	}
	r := &summarizer{summary: s, clock: newClock(space), requests: map[string]*served{},
		buckets: tally{}, modules: tally{}, ops: tally{}, kinds: tally{}}
	for _, plane := range space.Planes {
		switch {
		case strings.HasPrefix(plane.GetName(), stepPlane):
			r.addStepPlane(plane)
		case isTracerPlane(plane):
			r.addTracerPlane(plane)
		default:
			r.addHostPlane(plane)
		}
	}
	r.finish()
	return s
}

// finish sorts what was added up, and finds the trace's window: the session's, if the
// profiler recorded it, extended by work that began before it or ended behind it; else
// the time from the first work to the last.
func (r *summarizer) finish() {
	s := r.summary
	s.buckets, s.modules = r.buckets.sorted(), r.modules.sorted()
	s.ops, s.kinds = r.ops.sorted(), r.kinds.sorted()
	s.requests = slices.Collect(maps.Values(r.requests))
	slices.SortFunc(s.requests, func(a, b *served) int {
		return descending(a.span.length(), b.span.length(), a.id, b.id)
	})
	s.busy = union(r.busy)
	s.devices = max(s.devices, 1)
	s.window = r.clock.window
	if len(s.busy) == 0 {
		return
	}
	first, last := s.busy[0].start, s.busy[len(s.busy)-1].end
	if !r.clock.bounded {
		s.window = interval{first, last}
		return
	}
	s.window = interval{min(s.window.start, first), max(s.window.end, last)}
}

// isTracerPlane reports whether a plane is from a TPU's or GPU's own tracer, which
// measures on the device. A TPU's SparseCores are left out: steps do not run on them.
func isTracerPlane(plane *xplane.XPlane) bool {
	name := plane.GetName()
	return (strings.HasPrefix(name, "/device:TPU:") && !strings.Contains(name, "SparseCore")) ||
		strings.HasPrefix(name, "/device:GPU:")
}

// addStepPlane reads our own plane, as devicePlane writes it. The line of all steps
// repeats those of the executables. Executions count as busy time if there is no device's
// own trace.
func (r *summarizer) addStepPlane(plane *xplane.XPlane) {
	s := r.summary
	stats := plane.GetStats()
	s.device = orDefault(s.device, stringStat(plane, stats, statDevice))
	s.truncated = s.truncated || numberStat(plane, stats, statTruncated) != 0
	var executions []interval
	for _, line := range plane.GetLines() {
		if line.GetName() == stepsLine {
			continue
		}
		for _, event := range line.GetEvents() {
			at := r.clock.interval(line, event)
			executions = append(executions, at)
			r.buckets.add(eventName(plane, event), plane, event, at.length())
			s.steps++
			s.tokens += int64(numberStat(plane, event.GetStats(), statTokens))
			s.padding += int64(numberStat(plane, event.GetStats(), statPadding))
			s.cached += int64(numberStat(plane, event.GetStats(), statCached))
		}
	}
	s.stepTimes = append(s.stepTimes, executions...)
	if !s.traced {
		r.addDevice(executions)
	}
}

// addDevice adds the busy time of one device. Its executions may overlap.
func (r *summarizer) addDevice(executions []interval) {
	r.summary.devices++
	r.summary.busyTime += total(union(executions))
	r.busy = append(r.busy, executions...)
}

// addHostPlane reads the lanes of our requests and ignores other events of the host.
func (r *summarizer) addHostPlane(plane *xplane.XPlane) {
	for _, line := range plane.GetLines() {
		for _, event := range line.GetEvents() {
			id := stringStat(plane, event.GetStats(), statRequest)
			stage := eventName(plane, event)
			if id == "" || !slices.Contains(requestStages, score.Stage(stage)) {
				continue
			}
			at := r.clock.interval(line, event)
			r.summary.stages[stage] = append(r.summary.stages[stage], at)
			one := r.requests[id]
			if one == nil {
				one = &served{id: id, span: at, stages: map[string]float64{}}
				r.requests[id] = one
			}
			one.span = interval{min(one.span.start, at.start), max(one.span.end, at.end)}
			one.stages[stage] += at.length()
		}
	}
}

// requestStages are the stages of a request in their order.
var requestStages = []score.Stage{score.StageRead, score.StageEncode, score.StageWait,
	score.StageRun, score.StageReply}
