package profile

import (
	"strings"
	"time"

	"scored/profile/internal/xplane"
)

// planeBuilder fills an XPlane. In the format, events and stats have ids, and tables of
// the plane have their names. The builder gives each name an id when it is first used,
// from 1 on, and converts times to offsets from zero.
type planeBuilder struct {
	plane  *xplane.XPlane
	zero   time.Time
	events map[string]int64 // ids of kinds of events, by name
	stats  map[string]int64 // ids of stats, by name
}

// newPlane returns a builder of an empty plane.
func newPlane(name string, zero time.Time) *planeBuilder {
	return &planeBuilder{
		plane: &xplane.XPlane{
			Name:          name,
			EventMetadata: map[int64]*xplane.XEventMetadata{},
			StatMetadata:  map[int64]*xplane.XStatMetadata{},
		},
		zero: zero, events: map[string]int64{}, stats: map[string]int64{},
	}
}

// line adds a lane. Viewers show lanes in the order in which they were added.
func (b *planeBuilder) line(name string) *xplane.XLine {
	id := int64(len(b.plane.Lines) + 1)
	line := &xplane.XLine{Id: id, DisplayId: id, Name: name}
	b.plane.Lines = append(b.plane.Lines, line)
	return line
}

// kind returns the id of a kind of events. If the kind is new, stats returns the stats
// that all its events share; it may be nil.
func (b *planeBuilder) kind(name string, stats func() []*xplane.XStat) int64 {
	id, ok := b.events[name]
	if !ok {
		id = int64(len(b.events) + 1)
		b.events[name] = id
		meta := &xplane.XEventMetadata{Id: id, Name: text(name)}
		if stats != nil {
			meta.Stats = stats()
		}
		b.plane.EventMetadata[id] = meta
	}
	return id
}

// event adds an event to line. kind is an id that b.kind returned. Time before zero is
// cut off.
func (b *planeBuilder) event(line *xplane.XLine, kind int64, start, end time.Time,
	stats ...*xplane.XStat) {
	offset := max(start.Sub(b.zero), 0)
	duration := max(end.Sub(b.zero)-offset, 0)
	line.Events = append(line.Events, &xplane.XEvent{
		MetadataId: kind,
		Data:       &xplane.XEvent_OffsetPs{OffsetPs: picoseconds(offset)},
		DurationPs: picoseconds(duration),
		Stats:      stats,
	})
}

// picoseconds converts a duration. The result overflows after 106 days.
func picoseconds(d time.Duration) int64 { return d.Nanoseconds() * 1000 }

// stat returns a stat without a value.
func (b *planeBuilder) stat(name string) *xplane.XStat {
	id, ok := b.stats[name]
	if !ok {
		id = int64(len(b.stats) + 1)
		b.stats[name] = id
		b.plane.StatMetadata[id] = &xplane.XStatMetadata{Id: id, Name: name}
	}
	return &xplane.XStat{MetadataId: id}
}

// integer returns a stat with a signed value.
func (b *planeBuilder) integer(name string, value int64) *xplane.XStat {
	s := b.stat(name)
	s.Value = &xplane.XStat_Int64Value{Int64Value: value}
	return s
}

// unsigned returns a stat with an unsigned value, as XLA writes times since 1970.
func (b *planeBuilder) unsigned(name string, value uint64) *xplane.XStat {
	s := b.stat(name)
	s.Value = &xplane.XStat_Uint64Value{Uint64Value: value}
	return s
}

// text returns a stat with a string.
func (b *planeBuilder) text(name, value string) *xplane.XStat {
	s := b.stat(name)
	s.Value = &xplane.XStat_StrValue{StrValue: text(value)}
	return s
}

// text replaces what is not UTF-8, because a protobuf string must be.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
