package profile

import (
	"fmt"
	"strings"

	"scored/profile/internal/xplane"
	"scored/score"
)

// stepPlanes builds our plane for each device that ran steps, and at least for device
// 0. Without a device tracer it adds the steps to the host's plane, too.
func (b *spaceBuilder) stepPlanes(host *planeBuilder) (planes []*xplane.XPlane) {
	devices := map[int]*devicePlane{}
	open := func(number int) *devicePlane {
		d := devices[number]
		if d == nil {
			d = b.newDevicePlane(number, host)
			devices[number] = d
			planes = append(planes, d.plane)
		}
		return d
	}
	first := open(0)
	first.plane.Stats = append(first.plane.Stats, b.stats(first.planeBuilder)...)
	for span := range b.spans.all {
		if span.Stage == score.StageStep {
			open(span.Device).add(span, b.cfg.Cost)
		}
	}
	return planes
}

// stats returns stats of the session as a whole.
func (b *spaceBuilder) stats(p *planeBuilder) []*xplane.XStat {
	stats := []*xplane.XStat{
		p.integer("steps", b.steps),
		p.integer(statDropped, b.spans.dropped),
		p.integer(statTruncated, btoi(b.truncated())),
	}
	if level := b.plan.opts.PythonTracerLevel; level != nil {
		stats = append(stats, p.integer("python_tracer_level", int64(*level)))
	}
	return stats
}

// devicePlane is the plane of one device's steps: a line of all steps, and a line for
// each executable.
//
// Without a device tracer the steps are in the host's plane, too, as a group: there
// XProf looks for steps if there is no plane of a TPU or GPU. With a device tracer they
// are not, because XProf takes any grouped event as a sign that the device's planes are
// grouped already.
type devicePlane struct {
	*planeBuilder
	steps       *xplane.XLine
	executables map[string]*xplane.XLine
	host        *planeBuilder
	thread      *xplane.XLine // in the host's plane; nil with a device tracer
}

// newDevicePlane returns the plane of the device with this number.
func (b *spaceBuilder) newDevicePlane(number int, host *planeBuilder) *devicePlane {
	name, thread := b.cfg.DeviceName, "device thread"
	if number > 0 {
		name, thread = fmt.Sprintf("%s %d", name, number), fmt.Sprintf("%s %d", thread, number)
	}
	d := &devicePlane{planeBuilder: newPlane(stepPlane+name, b.begin),
		executables: map[string]*xplane.XLine{}, host: host}
	d.plane.Stats = []*xplane.XStat{d.text(statDevice, b.cfg.DeviceName)}
	d.steps = d.line(stepsLine)
	if !b.traced {
		d.thread = host.line(thread)
	}
	return d
}

// add adds a step to the line of all steps, the line of its executable and, without a
// device tracer, the host's thread. cost may be nil. The cost is that of the shape, so it
// is a stat of the kind and not of each event.
func (d *devicePlane) add(span *score.Span, cost func(score.Bucket) (flops, bytes float64)) {
	executable, number := bucketName(span.Bucket), fmt.Sprint(span.Number)
	line := d.executables[executable]
	if line == nil {
		line = d.line(executable)
		d.executables[executable] = line
	}
	d.event(d.steps, d.kind(number, nil), span.Start, span.End, d.integer(statStep, span.Number))
	kind := d.kind(executable, func() []*xplane.XStat {
		if cost == nil {
			return nil
		}
		flops, bytes := cost(span.Bucket)
		return []*xplane.XStat{d.integer(statFlops, int64(flops)), d.integer(statBytes, int64(bytes))}
	})
	d.event(line, kind, span.Start, span.End, stepStats(d.planeBuilder, span)...)
	if d.thread != nil {
		group := span.Number
		d.host.event(d.thread, d.host.kind("step", nil), span.Start, span.End,
			d.host.integer(statGroup, group), d.host.text(statStepName, number))
		d.host.event(d.thread, d.host.kind(executable, nil), span.Start, span.End,
			d.host.integer(statGroup, group))
	}
}

// bucketName returns the name of an executable, which is the shape that it is compiled
// for: TOKENSxROWSxLENGTHxCONTEXT.
func bucketName(b score.Bucket) string {
	return fmt.Sprintf("%dx%dx%dx%d", b.Tokens, b.Rows, b.Length, b.Context)
}

// stepStats returns the stats of a step. Padding is the bucket's tokens that no row has.
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
