package profile

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
	"scored/score"
)

// deviceSpace is what a TPU's tracer returns that saw one execution of 4 ms: its line
// counts from timestamp, in ns.
func deviceSpace(t testing.TB, timestamp int64, offset time.Duration) []byte {
	t.Helper()
	zero := time.Unix(0, 0)
	b := newPlane("/device:TPU:0", zero)
	line := b.line(modulesLine)
	line.TimestampNs = timestamp
	b.event(line, b.kind("jit_run", nil), zero.Add(offset), zero.Add(offset+4*time.Millisecond))
	host := newPlane(hostPlane, zero)
	host.line("main")
	task := newPlane(taskPlane, zero)
	return encode(t, b.plane, host.plane, task.plane)
}

func encode(t testing.TB, planes ...*xplane.XPlane) []byte {
	t.Helper()
	encoded, err := proto.Marshal(&xplane.XSpace{Planes: planes})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// A tracer counts from 1970, or from its start, which is later than the session's begin.
func TestDeviceIsOnTheSessionsClock(t *testing.T) {
	begin := time.Unix(1_800_000_000, 5)
	started := begin.Add(3 * time.Millisecond)
	for name, c := range map[string]struct {
		timestamp   int64
		offset      time.Duration
		start, want time.Duration // of the event, since begin; want is its length
	}{
		"since 1970":               {begin.UnixNano(), 5 * time.Millisecond, 5 * time.Millisecond, 4 * time.Millisecond},
		"since 1970, another line": {begin.UnixNano() + 2e6, 5 * time.Millisecond, 7 * time.Millisecond, 4 * time.Millisecond},
		"since its start":          {0, 5 * time.Millisecond, 8 * time.Millisecond, 4 * time.Millisecond},
		"begun before the session": {begin.UnixNano() - 7e6, 5 * time.Millisecond, 0, 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			space, err := readDevice(deviceSpace(t, c.timestamp, c.offset), begin, started)
			if err != nil {
				t.Fatal(err)
			}
			line := space.Planes[0].Lines[0]
			event := line.Events[0]
			start, length := line.TimestampNs*1000+event.GetOffsetPs(), event.DurationPs
			if start != picoseconds(c.start) || length != picoseconds(c.want) || line.TimestampNs < 0 || len(space.Warnings) != 0 {
				t.Errorf("event at %d for %d ps, want %s for %s; warnings %v", start, length, c.start, c.want, space.Warnings)
			}
		})
	}
}

func TestDevicePlanesAreMerged(t *testing.T) {
	d := &tracer{}
	dir := record(t, Config{Device: d}, Options{}, func(at func(int) time.Time) []score.Span {
		d.space = deviceSpace(t, at(0).UnixNano(), 10*time.Millisecond)
		return twoRequests(at)
	})
	space, err := readSpace(filepath.Join(dir, "host.xplane.pb"))
	if err != nil {
		t.Fatal(err)
	}
	planes := map[string]*xplane.XPlane{}
	for _, plane := range space.Planes {
		if planes[plane.Name] != nil {
			t.Errorf("two planes named %q", plane.Name)
		}
		planes[plane.Name] = plane
		for _, stat := range plane.StatMetadata {
			if stat.Name == statGroup {
				t.Errorf("plane %q is grouped, which keeps XProf from grouping the device's", plane.Name)
			}
		}
	}
	tpu, ours, task := planes["/device:TPU:0"], planes[stepPlane+"CPU"], planes[taskPlane]
	if tpu == nil || ours == nil || planes[hostPlane+" scored"] == nil || len(task.GetStats()) != 2 {
		t.Fatalf("planes %v, errors %v, warnings %v", planes, space.Errors, space.Warnings)
	}
	// The device's execution lies in the step that asked for it, at its very beginning.
	step, execution := ours.Lines[0].Events[0], tpu.Lines[0].Events[0]
	if at := tpu.Lines[0].TimestampNs*1000 + execution.GetOffsetPs(); at != step.GetOffsetPs() || execution.DurationPs > step.DurationPs {
		t.Errorf("device event at %d ps and its step at %d", at, step.GetOffsetPs())
	}
	mustContain(t, report(t, dir, ReportOptions{}), "jit_run 1 4.00 ms 100.0 % 4.00 ms 4.00 ms ")
}

// The tracer of an armed session starts up to a step early, and that of a session of so
// many steps stops up to a step late. Neither step is in the trace, and it does not
// warn of them.
func TestDeviceStepsOfOthersAreCutOff(t *testing.T) {
	d := &tracer{started: make(chan struct{}, 1)}
	b := newBench(t, Config{Device: d})
	b.run(1)
	b.start(Options{StartStep: p(int64(4)), NumSteps: p(int64(2))})
	if d.calls != "" {
		t.Errorf("calls %q while the first step is three away", d.calls)
	}
	b.run(1)
	<-d.started // step 3 is about to run
	kernel := time.Now()
	zero := time.Unix(0, 0)
	plane := newPlane("/device:GPU:0", zero)
	line := plane.line("Stream #1")
	line.TimestampNs = kernel.UnixNano()
	see := func(name string, at time.Time) {
		start := zero.Add(at.Sub(kernel))
		plane.event(line, plane.kind(name, nil), start, start.Add(time.Microsecond))
	}
	for number := 3; number <= 5; number++ {
		see("kernel "+strconv.Itoa(number), time.Now())
		time.Sleep(time.Millisecond)
		if number == 5 { // the tracer stops after it, and step 6 runs meanwhile
			see("kernel 6", time.Now().Add(time.Second))
			d.mu.Lock()
			d.space = encode(t, plane.plane)
			d.mu.Unlock()
		}
		b.run(1)
	}
	b.idle()
	space, err := readSpace(filepath.Join(b.Status().Dir, "host.xplane.pb"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, plane := range space.Planes {
		if isTracerPlane(plane) {
			for _, event := range plane.Lines[0].Events {
				seen = append(seen, eventName(plane, event))
			}
		}
	}
	if got := strings.Join(seen, ", "); got != "kernel 4, kernel 5" || len(space.Warnings) != 0 {
		t.Errorf("device shows %q with warnings %q, want the kernels of steps 4 and 5", got, space.Warnings)
	}
}

// Whatever a device's tracer returns, the trace has all that is ours and opens.
func TestHostileDeviceTraces(t *testing.T) {
	line := func(timestamp int64, events ...*xplane.XEvent) []byte {
		return encode(t, &xplane.XPlane{Name: "/device:TPU:0", Lines: []*xplane.XLine{{Name: modulesLine, TimestampNs: timestamp, Events: events}}})
	}
	event := func(offset, duration int64) *xplane.XEvent {
		return &xplane.XEvent{MetadataId: 77, Data: &xplane.XEvent_OffsetPs{OffsetPs: offset}, DurationPs: duration}
	}
	for name, c := range map[string]struct {
		space []byte
		says  string // in the trace's errors or warnings; "" for none
		rows  int    // of the device
	}{
		"noise":                    {[]byte{0xff, 0xff}, "not an XSpace", 0},
		"cut short":                {deviceSpace(t, 0, 0)[:20], "not an XSpace", 0},
		"not UTF-8":                {[]byte("\x0a\x03\x12\x01\xff"), "not an XSpace", 0},
		"too large":                {make([]byte, 2000), "record fewer steps", 0},
		"empty":                    {[]byte{}, "", 0},
		"no planes of a device":    {encode(t, &xplane.XPlane{Name: "/host:metadata"}), "", 0},
		"a plane without events":   {line(0), "", 0},
		"no time of a session's":   {line(math.MaxInt64, event(0, 1)), "1 events of the device left out", 0},
		"a time before all":        {line(math.MinInt64, event(0, 1)), "1 events of the device left out", 0},
		"three weeks since 1970":   {line(unixLine, event(0, 1)), "1 events of the device left out", 0},
		"offset beyond all":        {line(0, event(math.MaxInt64, 1), event(0, 1)), "1 events of the device left out", 1},
		"duration beyond all":      {line(0, event(0, math.MaxInt64)), "1 events of the device left out", 0},
		"offset before all":        {line(0, event(math.MinInt64, math.MinInt64)), "1 events of the device left out", 0},
		"negative duration":        {line(0, event(0, -5)), "", 1},
		"an event without a place": {line(0, &xplane.XEvent{Data: &xplane.XEvent_NumOccurrences{NumOccurrences: 3}}), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := record(t, Config{Device: &tracer{space: c.space}, MaxDeviceBytes: 1000}, Options{}, twoRequests)
			space, err := readSpace(filepath.Join(dir, "host.xplane.pb"))
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(append(space.Errors, space.Warnings...), "; ")
			if (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
				t.Errorf("errors and warnings %q, want %q", said, c.says)
			}
			rows, steps := 0, 0
			for _, e := range readChrome(t, filepath.Join(dir, "host.trace.json.gz")).TraceEvents {
				if e.Ph == "X" && (*e.Ts < 0 || *e.Dur < 0) {
					t.Errorf("event %+v", e)
				}
				switch {
				case e.Name == "event 77":
					rows++
				case e.Ph == "X" && e.Args[statStep] != nil && e.Args[statTokens] == nil:
					steps++
				}
			}
			if rows != c.rows || steps != 2 {
				t.Errorf("%d rows of the device and %d steps, want %d and 2", rows, steps, c.rows)
			}
			report(t, dir, ReportOptions{Device: "v6e"})
		})
	}
}
