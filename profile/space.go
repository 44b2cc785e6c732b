package profile

import (
	"fmt"
	"strings"
	"time"

	"scored/profile/internal/xplane"
	"scored/score"
)

// Names of planes and lines. XProf shows a plane only if its name begins with "/host:CPU", "/device:GPU:",
// "/device:TPU:" or "/device:CUSTOM:"; the GPU and TPU ones are left to the device's own tracer.
const (
	stepPlane = "/device:CUSTOM:scored "
	hostPlane = "/host:CPU"
	taskPlane = "Task Environment" // where XLA's profilers note when the session began and ended
	stepsLine = "Steps"
)

// Names of stats, those of XLA where it has one.
const (
	statStep      = "step_num"
	statRows      = "rows"
	statTokens    = "tokens"
	statPadding   = "padding"
	statCached    = "cached_tokens"
	statFlops     = "flops"
	statBytes     = "bytes_accessed"
	statRequest   = "request"
	statRequests  = "requests"
	statError     = "error"
	statTruncated = "truncated"
	statDropped   = "dropped_spans"
	statDevice    = "device_type_string"
	statKind      = "hlo_category"
	statGroup     = "group_id"
	statStepName  = "step_name"
	statStart     = "profile_start_time"
	statStop      = "profile_stop_time"
)

// space builds the trace of a session that has ended, but for what the device's own tracer has seen, if it has: traced.
// All its times count from the session's begin.
func (s *session) space(traced bool) *xplane.XSpace {
	device := newPlane(stepPlane+s.p.cfg.DeviceName, s.begin)
	device.plane.Stats = []*xplane.XStat{
		device.text(statDevice, s.p.cfg.DeviceName),
		device.integer("steps", s.steps),
		device.integer(statDropped, s.spans.dropped),
		device.integer(statTruncated, btoi(s.timedOut || s.spans.dropped > 0)),
	}
	if level := s.plan.opts.PythonTracerLevel; level != nil {
		device.plane.Stats = append(device.plane.Stats, device.integer("python_tracer_level", int64(*level)))
	}
	host := newPlane(hostPlane, s.begin)
	s.addSteps(device, host, traced)
	if s.plan.host > 0 {
		addRequests(host, s.spans.all)
	}
	task := newPlane(taskPlane, s.begin)
	task.plane.Stats = []*xplane.XStat{
		task.unsigned(statStart, uint64(s.begin.UnixNano())),
		task.unsigned(statStop, uint64(s.end.UnixNano())),
	}
	space := &xplane.XSpace{
		Planes:    []*xplane.XPlane{device.plane, host.plane, task.plane},
		Hostnames: []string{text(s.p.cfg.Host)},
		Warnings:  s.warnings,
	}
	if s.spans.dropped > 0 {
		space.Warnings = append(space.Warnings, fmt.Sprintf("truncated: %d spans left out beyond %d spans or %d bytes",
			s.spans.dropped, s.spans.maxEvents, s.spans.maxBytes))
	}
	if s.timedOut {
		space.Warnings = append(space.Warnings, fmt.Sprintf("truncated: the session ended after %s", s.p.cfg.MaxDuration))
	}
	return space
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// addSteps adds a line of steps and a line for each executable to the device's plane. Without a device tracer it adds the
// steps to the host's plane as well, grouped: that is where XProf looks for steps when there is no TPU or GPU plane.
// With one it does not, for XProf takes any grouped event as a sign that the device's planes need no grouping any more.
func (s *session) addSteps(device, host *planeBuilder, traced bool) {
	steps := device.line(stepsLine)
	lines := map[string]*xplane.XLine{}
	var thread *xplane.XLine
	if !traced {
		thread = host.line("device thread")
	}
	for span := range s.spans.all {
		if span.Stage != score.StageStep {
			continue
		}
		executable := bucketName(span.Bucket)
		line := lines[executable]
		if line == nil {
			line = device.line(executable)
			lines[executable] = line
		}
		number := fmt.Sprint(span.Number)
		device.event(steps, device.kind(number, nil), span.Start, span.End, device.integer(statStep, span.Number))
		kind := device.kind(executable, func() []*xplane.XStat { return s.cost(device, span.Bucket) })
		device.event(line, kind, span.Start, span.End, stepStats(device, span)...)
		if thread != nil {
			group := span.Number
			host.event(thread, host.kind("step", nil), span.Start, span.End,
				host.integer(statGroup, group), host.text(statStepName, number))
			host.event(thread, host.kind(executable, nil), span.Start, span.End, host.integer(statGroup, group))
		}
	}
}

// bucketName names an executable by the shape it is compiled for.
func bucketName(b score.Bucket) string {
	return fmt.Sprintf("tokens %d, rows %d, length %d, prefix %d", b.Tokens, b.Rows, b.Length, b.Prefix)
}

func (s *session) cost(b *planeBuilder, bucket score.Bucket) []*xplane.XStat {
	if s.p.cfg.Cost == nil {
		return nil
	}
	flops, bytes := s.p.cfg.Cost(bucket)
	return []*xplane.XStat{b.integer(statFlops, int64(flops)), b.integer(statBytes, int64(bytes))}
}

func stepStats(b *planeBuilder, span *score.Span) []*xplane.XStat {
	stats := []*xplane.XStat{
		b.integer(statStep, span.Number),
		b.integer(statRows, int64(span.Rows)),
		b.integer(statTokens, int64(span.Tokens)),
		b.integer(statPadding, int64(span.Bucket.Tokens-span.Tokens)),
		b.integer(statCached, int64(span.Cached)),
		b.text(statRequests, strings.Join(span.Requests, " ")),
	}
	if span.Err != nil {
		stats = append(stats, b.text(statError, span.Err.Error()))
	}
	return stats
}

// spans is a sequence of spans.
type spans func(yield func(*score.Span) bool)

// addRequests adds the requests' stages to the host's plane. A request keeps one lane from its first stage to its last,
// and a lane serves one request at a time, so there are as many lanes as requests were ever in flight at once.
func addRequests(host *planeBuilder, all spans) {
	for lane, requests := range lanes(all) {
		line := host.line(fmt.Sprintf("requests %d", lane+1))
		for _, request := range requests {
			for _, span := range request.stages {
				host.event(line, host.kind(string(span.Stage), nil), span.Start, span.End, requestStats(host, span)...)
			}
		}
	}
}

func requestStats(b *planeBuilder, span *score.Span) []*xplane.XStat {
	stats := []*xplane.XStat{b.text(statRequest, span.RequestID)}
	for _, s := range []struct {
		name  string
		value int
	}{{statRows, span.Rows}, {statTokens, span.Tokens}, {statCached, span.Cached}} {
		if s.value != 0 {
			stats = append(stats, b.integer(s.name, int64(s.value)))
		}
	}
	if span.Err != nil {
		stats = append(stats, b.text(statError, span.Err.Error()))
	}
	return stats
}

// request is one request's stages that were recorded, in order.
type request struct {
	stages     []*score.Span
	start, end time.Time
}
