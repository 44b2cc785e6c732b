package profile

import (
	"maps"
	"slices"
	"strings"

	"scored/profile/internal/xplane"
	"scored/score"
)

// summary is what a report says of one trace. Times are in nanoseconds.
type summary struct {
	host      string
	device    string // its name; "" if the trace has none
	window    interval
	devices   int
	busyTime  float64    // sum over all devices
	busy      []interval // when at least one device was busy
	buckets   []*work    // steps by shape, on the host's clock, by total time, longest first
	modules   []*work    // executables from the device's own trace, in the same order
	ops       []*work    // ops without the ops that they run, in the same order
	traced    bool       // modules, ops and busy time are from a device's own trace
	stepTimes []interval // of steps, on the host's clock
	kinds     []*work    // ops by XLA's category, such as "convolution fusion"
	steps     int
	tokens    int64 // computed, without padding
	padding   int64
	cached    int64
	requests  []*served // by duration, longest first
	stages    map[string][]interval
	roof      roof
	truncated bool
	warnings  []string
}

// work is the sum over all runs of one executable, one op or one kind of ops.
type work struct {
	name         string
	runs         int
	time         float64
	longest      float64
	flops, bytes float64 // of all runs; 0 if not known
}

// served is one request, with the time of each stage.
type served struct {
	id     string
	span   interval
	stages map[string]float64
}

// summarize reads any profiler's XSpace. What the space lacks is left out of the
// summary.
func summarize(space *xplane.XSpace) *summary {
	s := &summary{stages: map[string][]interval{},
		warnings: slices.Concat(space.Errors, space.Warnings)}
	if len(space.Hostnames) > 0 {
		s.host = space.Hostnames[0]
	}
	clock := newClock(space)
	buckets, modules, ops, kinds := tally{}, tally{}, tally{}, tally{}
	requests := map[string]*served{}
	s.traced = tracedDevice(space)
	for _, plane := range space.Planes {
		switch {
		case strings.HasPrefix(plane.GetName(), stepPlane):
			s.addStepPlane(plane, clock, buckets)
		case isTracerPlane(plane):
			s.addTracerPlane(plane, clock, modules, ops, kinds)
		default:
			s.addHostPlane(plane, clock, requests)
		}
	}
	s.buckets, s.modules, s.ops, s.kinds = buckets.sorted(), modules.sorted(), ops.sorted(),
		kinds.sorted()
	s.requests = slices.Collect(maps.Values(requests))
	slices.SortFunc(s.requests, func(a, b *served) int {
		return descending(a.span.length(), b.span.length(), a.id, b.id)
	})
	s.busy = union(s.busy)
	s.devices = max(s.devices, 1)
	s.window = clock.window
	if len(s.busy) > 0 {
		s.window.start = min(s.window.start, s.busy[0].start)
		s.window.end = max(s.window.end, s.busy[len(s.busy)-1].end)
		if !clock.bounded {
			s.window = interval{s.busy[0].start, s.busy[len(s.busy)-1].end}
		}
	}
	return s
}

// isTracerPlane reports whether a plane is from a TPU's or GPU's own tracer, which
// knows more of the device than our steps do.
func isTracerPlane(plane *xplane.XPlane) bool {
	name := plane.GetName()
	return (strings.HasPrefix(name, "/device:TPU:") && !strings.Contains(name, "SparseCore")) ||
		strings.HasPrefix(name, "/device:GPU:")
}

// addStepPlane reads our own plane. Its executions count as busy time if there is no
// device's own trace.
func (s *summary) addStepPlane(plane *xplane.XPlane, clock clock, buckets tally) {
	stats := plane.GetStats()
	s.device = orDefault(s.device, stringStat(plane, stats, statDevice))
	s.truncated = s.truncated || numberStat(plane, stats, statTruncated) != 0
	var executions []interval
	for _, line := range plane.GetLines() {
		if line.GetName() == stepsLine {
			continue
		}
		for _, event := range line.GetEvents() {
			at := clock.interval(line, event)
			executions = append(executions, at)
			buckets.add(eventName(plane, event), plane, event, at.length())
			s.steps++
			s.tokens += int64(numberStat(plane, event.GetStats(), statTokens))
			s.padding += int64(numberStat(plane, event.GetStats(), statPadding))
			s.cached += int64(numberStat(plane, event.GetStats(), statCached))
		}
	}
	s.stepTimes = append(s.stepTimes, executions...)
	if !s.traced {
		s.addDevice(executions)
	}
}

// addDevice adds the busy time of one device.
func (s *summary) addDevice(executions []interval) {
	s.devices++
	s.busyTime += total(union(executions))
	s.busy = append(s.busy, executions...)
}

// addHostPlane reads the lanes of our requests and ignores other events of the host.
func (s *summary) addHostPlane(plane *xplane.XPlane, clock clock, requests map[string]*served) {
	for _, line := range plane.GetLines() {
		for _, event := range line.GetEvents() {
			id := stringStat(plane, event.GetStats(), statRequest)
			stage := eventName(plane, event)
			if id == "" || !slices.Contains(requestStages, score.Stage(stage)) {
				continue
			}
			at := clock.interval(line, event)
			s.stages[stage] = append(s.stages[stage], at)
			r := requests[id]
			if r == nil {
				r = &served{id: id, span: at, stages: map[string]float64{}}
				requests[id] = r
			}
			r.span = interval{min(r.span.start, at.start), max(r.span.end, at.end)}
			r.stages[stage] += at.length()
		}
	}
}

var requestStages = []score.Stage{score.StageRead, score.StageEncode, score.StageWait,
	score.StageRun, score.StageReply}

// executables returns those of the device's own trace, if there is one, else our steps.
func (s *summary) executables() []*work {
	if s.traced {
		return s.modules
	}
	return s.buckets
}

// shapes returns our steps if there is a device's own trace; else executables has them.
// The host's clock gives longer times than the device's.
func (s *summary) shapes() []*work {
	if s.traced {
		return s.buckets
	}
	return nil
}

// costed returns the work whose cost is known: our steps, else the device's
// executables, else its ops.
func (s *summary) costed() []*work {
	for _, source := range [][]*work{s.buckets, s.modules, s.ops} {
		if slices.ContainsFunc(source, func(w *work) bool { return w.flops > 0 }) {
			return source
		}
	}
	return nil
}
