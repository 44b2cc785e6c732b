package profile

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"scored/profile/internal/xplane"
)

// chromeEvent is an event of Chrome's trace format, which Perfetto and chrome://tracing
// read: "Trace Event Format" in the Catapult project. Ph is its kind: "X" for an event
// with a begin and a duration, "M" for a name or an order. Times are in microseconds
// since the session began.
type chromeEvent struct {
	Ph   string         `json:"ph"`
	Name string         `json:"name"`
	Pid  int            `json:"pid"`
	Tid  int64          `json:"tid"`
	Ts   *float64       `json:"ts,omitempty"`
	Dur  *float64       `json:"dur,omitempty"`
	Args map[string]any `json:"args,omitempty"`
}

// chromeMetadata describes the trace as a whole. Viewers show it as it is.
type chromeMetadata struct {
	Truncated bool     `json:"truncated"`
	Omitted   int      `json:"omitted_events"` // events that only the XSpace has
	Warnings  []string `json:"warnings,omitempty"`
}

// writeChrome writes space as gzipped Chrome trace JSON: a process for each plane and a
// thread for each line, devices first. It writes at most limit events, because viewers
// load the whole file, and counts the others in the metadata, which therefore comes last.
// Events are written one by one, so the JSON is never in memory. truncated means that
// space itself is incomplete.
func writeChrome(w io.Writer, space *xplane.XSpace, limit int, truncated bool) error {
	compressed := gzip.NewWriter(w)
	out := &chromeWriter{w: bufio.NewWriter(compressed), left: limit}
	out.raw(`{"displayTimeUnit":"ns","traceEvents":[`)
	planes := slices.Clone(space.Planes)
	slices.SortStableFunc(planes, func(a, b *xplane.XPlane) int {
		return int(btoi(isDevice(b)) - btoi(isDevice(a)))
	})
	for i, plane := range planes {
		if len(plane.Lines) > 0 {
			out.plane(i+1, plane)
		}
	}
	out.raw("\n],\"metadata\":")
	out.value(chromeMetadata{Truncated: truncated || out.omitted > 0, Omitted: out.omitted,
		Warnings: space.Warnings})
	out.raw("}\n")
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if err := compressed.Close(); out.err == nil {
		out.err = err
	}
	return out.err
}

// chromeWriter writes JSON. After the first error it does nothing, so callers look at err
// once, in the end.
type chromeWriter struct {
	w       *bufio.Writer
	err     error
	comma   bool // the next event needs one before it
	left    int  // events that may still be written
	omitted int  // events that were not written
}

// raw writes text as it is.
func (c *chromeWriter) raw(s string) {
	if c.err == nil {
		_, c.err = c.w.WriteString(s)
	}
}

// value writes a value as JSON. It must have no NaN and no infinity, which JSON lacks.
func (c *chromeWriter) value(v any) {
	if c.err != nil {
		return
	}
	encoded, err := json.Marshal(v)
	if err == nil {
		_, err = c.w.Write(encoded)
	}
	c.err = err
}

// add writes an event, after a comma if it is not the first.
func (c *chromeWriter) add(e chromeEvent) {
	if c.comma {
		c.raw(",\n")
	} else {
		c.raw("\n")
	}
	c.comma = true
	c.value(e)
}

// plane writes a plane as a process, with a name and an order for it and its threads.
// Viewers would else sort them by name.
func (c *chromeWriter) plane(pid int, plane *xplane.XPlane) {
	c.add(chromeEvent{Ph: "M", Name: "process_name", Pid: pid,
		Args: map[string]any{"name": plane.Name}})
	c.add(chromeEvent{Ph: "M", Name: "process_sort_index", Pid: pid,
		Args: map[string]any{"sort_index": pid}})
	for _, line := range plane.Lines {
		name := line.DisplayName
		if name == "" {
			name = line.Name
		}
		c.add(chromeEvent{Ph: "M", Name: "thread_name", Pid: pid, Tid: line.Id,
			Args: map[string]any{"name": name}})
		c.add(chromeEvent{Ph: "M", Name: "thread_sort_index", Pid: pid, Tid: line.Id,
			Args: map[string]any{"sort_index": line.Id}})
		for _, event := range line.Events {
			c.event(pid, plane, line, event)
		}
	}
}

// event writes an event with the stats of its kind and its own, unless the limit is
// reached. An own stat replaces one of the kind.
func (c *chromeWriter) event(pid int, plane *xplane.XPlane, line *xplane.XLine,
	event *xplane.XEvent) {
	if _, aggregated := event.Data.(*xplane.XEvent_NumOccurrences); aggregated {
		return // it has no time
	}
	if c.left == 0 {
		c.omitted++
		return
	}
	c.left--
	ts := float64(line.TimestampNs)/1e3 + float64(event.GetOffsetPs())/1e6
	dur := float64(event.DurationPs) / 1e6
	meta := plane.EventMetadata[event.MetadataId]
	args := map[string]any{}
	for _, stats := range [][]*xplane.XStat{meta.GetStats(), event.Stats} {
		for _, stat := range stats {
			if value := statValue(plane, stat); value != nil {
				args[plane.StatMetadata[stat.MetadataId].GetName()] = value
			}
		}
	}
	c.add(chromeEvent{Ph: "X", Name: eventName(plane, event), Pid: pid, Tid: line.Id, Ts: &ts,
		Dur: &dur, Args: args})
}

// eventName returns the name that viewers show for an event. A trace may lack its kind.
func eventName(plane *xplane.XPlane, event *xplane.XEvent) string {
	meta := plane.EventMetadata[event.MetadataId]
	switch {
	case meta.GetDisplayName() != "":
		return meta.GetDisplayName()
	case meta.GetName() != "":
		return meta.GetName()
	default:
		return fmt.Sprintf("event %d", event.MetadataId)
	}
}

// statValue returns a stat's value in a form that JSON can hold. It returns nil for
// bytes, and for a stat without a value.
func statValue(plane *xplane.XPlane, stat *xplane.XStat) any {
	switch v := stat.Value.(type) {
	case *xplane.XStat_DoubleValue:
		if _, err := json.Marshal(v.DoubleValue); err != nil { // NaN or infinite
			return fmt.Sprint(v.DoubleValue)
		}
		return v.DoubleValue
	case *xplane.XStat_Uint64Value:
		return v.Uint64Value
	case *xplane.XStat_Int64Value:
		return v.Int64Value
	case *xplane.XStat_StrValue:
		return v.StrValue
	case *xplane.XStat_RefValue:
		return plane.StatMetadata[int64(v.RefValue)].GetName()
	default: // bytes, which are serialized programs, or no value
		return nil
	}
}
