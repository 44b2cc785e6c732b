package profile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
)

// unixLine is the smallest timestamp_ns that counts from 1970 and not from the begin of
// a session. No session lasts three weeks, and none began in January 1970.
const unixLine = int64(21 * 24 * time.Hour)

// readDevice decodes the serialized XSpace of a device's tracer and converts its times
// to the session's clock, whose zero is begin. started is when the tracer was started.
//
// Tracers count a line's time from 1970 or from their start. In the result all times
// count from begin, which keeps picoseconds within 64 bits. Events far outside of any
// session are dropped, with a warning in the result. Events from before begin are
// dropped without one.
func readDevice(encoded []byte, begin, started time.Time) (*xplane.XSpace, error) {
	space := new(xplane.XSpace)
	if err := proto.Unmarshal(encoded, space); err != nil {
		return nil, fmt.Errorf("device trace is not an XSpace: %w", err)
	}
	dropped := 0
	lead := max(0, begin.Sub(started))
	for _, plane := range space.Planes {
		plane.Lines = slices.DeleteFunc(plane.Lines, func(line *xplane.XLine) bool {
			zero := started.Sub(begin).Nanoseconds()
			if line.TimestampNs >= unixLine {
				zero = -begin.UnixNano()
			}
			at := line.TimestampNs + zero
			if line.TimestampNs < 0 || at <= -unixLine || at >= unixLine {
				dropped += len(line.Events)
				return true
			}
			line.TimestampNs = at
			dropped += cutLine(line, picoseconds(lead))
			return false
		})
	}
	if dropped > 0 {
		space.Warnings = append(space.Warnings,
			fmt.Sprintf("%d events of the device left out: their times are not the session's", dropped))
	}
	return space, nil
}

// cutLine cuts off the part of a line before time zero, because viewers cannot show
// negative times. It drops events that are too long or too late for any session, or that
// ended more than lead picoseconds before zero, and returns how many. Other events from
// before zero are dropped without being counted: the tracer was started that much early.
func cutLine(line *xplane.XLine, lead int64) (dropped int) {
	early := max(0, -line.TimestampNs) * 1000 // ps before zero
	line.TimestampNs = max(0, line.TimestampNs)
	line.Events = slices.DeleteFunc(line.Events, func(event *xplane.XEvent) bool {
		if _, counted := event.Data.(*xplane.XEvent_NumOccurrences); counted {
			return false // it has no time
		}
		start, length := event.GetOffsetPs(), max(0, event.DurationPs)
		switch {
		case max(start, length) > unixLine*1000 || start+length < early-lead:
			dropped++
			return true
		case start+length < early:
			return true
		}
		end := start + length - early
		start = max(0, start-early)
		event.Data, event.DurationPs = &xplane.XEvent_OffsetPs{OffsetPs: start}, end-start
		return false
	})
	return dropped
}

// cutBehind drops the device's events that begin after the end of the session's last
// step. The tracer stops only when the step that runs by then has ended, and that step
// does not belong to the session.
func cutBehind(space *xplane.XSpace, end time.Duration) {
	for _, plane := range space.Planes {
		for _, line := range plane.Lines {
			latest := picoseconds(end) - line.TimestampNs*1000
			line.Events = slices.DeleteFunc(line.Events, func(event *xplane.XEvent) bool {
				_, counted := event.Data.(*xplane.XEvent_NumOccurrences)
				return !counted && event.GetOffsetPs() > latest
			})
		}
	}
}

// merge adds the planes of a device's tracer, converted to the session's clock, to space.
// Of two planes with one name ours is renamed, so that viewers keep them apart.
func merge(space, device *xplane.XSpace) {
	taken := map[string]bool{}
	for _, plane := range device.Planes {
		if plane.Name != taskPlane { // space has its own, with the begin of the session's clock
			taken[plane.Name] = true
		}
	}
	for _, plane := range space.Planes {
		if taken[plane.Name] {
			plane.Name += " scored"
		}
	}
	for _, plane := range device.Planes {
		if plane.Name != taskPlane {
			space.Planes = append(space.Planes, plane)
		}
	}
	space.Errors = append(space.Errors, device.Errors...)
	space.Warnings = append(space.Warnings, device.Warnings...)
}

// tracedDevice reports whether a space has events in a plane of a device's own tracer. A
// tracer that saw nothing may leave planes without events.
func tracedDevice(space *xplane.XSpace) bool {
	return slices.ContainsFunc(space.GetPlanes(), func(plane *xplane.XPlane) bool {
		return isTracerPlane(plane) && slices.ContainsFunc(plane.GetLines(),
			func(line *xplane.XLine) bool { return len(line.GetEvents()) > 0 })
	})
}

// isDevice reports whether a plane shows a device, and not the host or bookkeeping.
func isDevice(plane *xplane.XPlane) bool { return strings.HasPrefix(plane.GetName(), "/device:") }
