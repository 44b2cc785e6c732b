package profile

import (
	"fmt"
	"time"

	"scored/profile/internal/xplane"
	"scored/score"
)

// Names of planes and lines. XProf shows a plane only if its name begins with
// "/host:CPU", "/device:GPU:", "/device:TPU:" or "/device:CUSTOM:". Those of GPUs and
// TPUs are left to the device's own tracer.
const (
	stepPlane = "/device:CUSTOM:scored "
	hostPlane = "/host:CPU"
	taskPlane = "Task Environment" // in which XLA's profilers record the session's begin and end
	stepsLine = "Steps"
)

// Names of stats. They are XLA's if XLA has one for the value.
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

// spaceBuilder builds the trace of a session that has ended, without the device
// tracer's part. All times count from the session's begin.
type spaceBuilder struct {
	*recorded
	cfg    *Config
	plan   plan
	traced bool // there is a device tracer's part
}

// space builds the trace.
func (b *spaceBuilder) space() *xplane.XSpace {
	host := newPlane(hostPlane, b.begin)
	planes := b.stepPlanes(host)
	if b.plan.host > 0 {
		addRequests(host, b.spans.all)
	}
	task := newPlane(taskPlane, b.begin)
	task.plane.Stats = []*xplane.XStat{
		task.unsigned(statStart, uint64(b.begin.UnixNano())),
		task.unsigned(statStop, uint64(b.end.UnixNano())),
	}
	space := &xplane.XSpace{
		Planes:    append(planes, host.plane, task.plane),
		Hostnames: []string{text(b.cfg.Host)},
	}
	if b.spans.dropped > 0 {
		space.Warnings = append(space.Warnings,
			fmt.Sprintf("truncated: %d spans left out beyond %d spans or %d bytes",
				b.spans.dropped, b.spans.maxEvents, b.spans.maxBytes))
	}
	if b.timedOut {
		space.Warnings = append(space.Warnings,
			fmt.Sprintf("truncated: the session ended after %s", b.cfg.MaxDuration))
	}
	return space
}

// btoi returns 1 for true.
func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// spans is a sequence of spans, which must not be kept.
type spans func(yield func(*score.Span) bool)

// addRequests adds the stages of requests to the host's plane. A request stays in one
// lane, and a lane has one request at a time. So there are as many lanes as there were
// requests in the server at one time.
func addRequests(host *planeBuilder, all spans) {
	for lane, requests := range lanes(all) {
		line := host.line(fmt.Sprintf("requests %d", lane+1))
		for _, request := range requests {
			for _, span := range request.stages {
				host.event(line, host.kind(string(span.Stage), nil), span.Start, span.End,
					requestStats(host, span)...)
			}
		}
	}
}

// requestStats returns the stats of a request's stage. Figures that the stage does not
// have are 0, and are left out.
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

// request holds the recorded stages of one request, in the order of their begin. start
// and end are those of all stages together.
type request struct {
	stages     []*score.Span
	start, end time.Time
}
