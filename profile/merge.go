package profile

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
)

// unixLine is the least timestamp_ns that counts from 1970 and not from the session's begin: a day in January 1970 is
// no time for a session to begin, and three weeks are too long for one to last.
const unixLine = int64(21 * 24 * time.Hour)

// merge adds the planes that a device's tracer returned, a serialized XSpace, to ours. Tracers count their lines from
// 1970 or from the session's begin; ours is always the latter, which keeps picoseconds within 64 bits.
func merge(space *xplane.XSpace, device []byte, begin time.Time) error {
	var traced xplane.XSpace
	if err := proto.Unmarshal(device, &traced); err != nil {
		return fmt.Errorf("device trace is not an XSpace: %w", err)
	}
	taken := map[string]bool{}
	for _, plane := range traced.Planes {
		taken[plane.Name] = true
		for _, line := range plane.Lines {
			if line.TimestampNs >= unixLine {
				line.TimestampNs -= begin.UnixNano()
			}
		}
	}
	kept := space.Planes[:0]
	for _, plane := range space.Planes {
		switch {
		case plane.Name == taskPlane && taken[taskPlane]:
			continue // the tracer's own is as good
		case taken[plane.Name]:
			plane.Name += " scored"
		}
		kept = append(kept, plane)
	}
	space.Planes = append(kept, traced.Planes...)
	space.Errors = append(space.Errors, traced.Errors...)
	space.Warnings = append(space.Warnings, traced.Warnings...)
	return nil
}

// isDevice tells whether a plane shows a device, and not the host or bookkeeping.
func isDevice(plane *xplane.XPlane) bool { return strings.HasPrefix(plane.GetName(), "/device:") }
