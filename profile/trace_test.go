package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"scored/tests/vectors"

	"scored/score"
)

// chromeTrace is a .trace.json.gz.
type chromeTrace struct {
	DisplayTimeUnit string         `json:"displayTimeUnit"`
	TraceEvents     []chromeEvent  `json:"traceEvents"`
	Metadata        chromeMetadata `json:"metadata"`
}

func readChrome(t *testing.T, path string) chromeTrace {
	t.Helper()
	var trace chromeTrace
	decoder := json.NewDecoder(bytes.NewReader(vectors.Read(t, path)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&trace); err != nil {
		t.Fatal(err)
	}
	return trace
}

// record takes a trace of the spans, whose times count from the session's begin, and
// returns its folder.
func record(t *testing.T, cfg Config, opts Options, spans func(at func(ms int) time.Time) []score.Span) string {
	t.Helper()
	b := newBench(t, cfg)
	b.start(opts)
	begin := b.current.rec.begin
	for _, span := range spans(func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }) {
		b.Observe(span)
	}
	b.stop(nil)
	return b.Status().Dir
}

// twoRequests overlap in time and share two steps, on two executables.
func twoRequests(at func(int) time.Time) []score.Span {
	stage := func(stage score.Stage, id string, from, to int) score.Span {
		return score.Span{Stage: stage, RequestID: id, Start: at(from), End: at(to), Rows: 2, Tokens: 50}
	}
	return []score.Span{
		stage(score.StageRead, "a", 0, 1), stage(score.StageEncode, "a", 1, 2), stage(score.StageRead, "b\xff", 2, 4),
		{Stage: score.StageStep, Number: 1, Start: at(10), End: at(30), Rows: 2, Tokens: 50, Cached: 7,
			Bucket: score.Bucket{Tokens: 64, Rows: 4, Length: 32, Context: 16}, Requests: []string{"a"}},
		stage(score.StageWait, "a", 2, 10), stage(score.StageRun, "a", 10, 30), stage(score.StageReply, "a", 30, 31),
		{Stage: score.StageStep, Number: 2, Start: at(40), End: at(50), Rows: 1, Tokens: 128, Err: errors.New("out of memory"),
			Bucket: score.Bucket{Tokens: 128, Rows: 4, Length: 32}, Requests: []string{"b\xff"}},
		stage(score.StageWait, "b\xff", 4, 40), stage(score.StageRun, "b\xff", 40, 50),
		stage(score.StageReply, "c", 60, 61),
	}
}

func cost(b score.Bucket) (float64, float64) { return float64(b.Tokens) * 1e9, float64(b.Tokens) * 1e6 }

func TestTrace(t *testing.T) {
	dir := record(t, Config{Cost: cost, DeviceName: "TPU v6 lite"}, Options{}, twoRequests)
	trace := readChrome(t, filepath.Join(dir, "host.trace.json.gz"))
	if trace.DisplayTimeUnit == "" || trace.Metadata.Truncated {
		t.Errorf("unit %q, truncated %v", trace.DisplayTimeUnit, trace.Metadata.Truncated)
	}
	names := map[string]string{} // of lanes, by process and thread
	process := map[int]string{}
	events := map[string]chromeEvent{}
	for _, e := range trace.TraceEvents {
		switch {
		case e.Name == "process_name":
			process[e.Pid] = e.Args["name"].(string)
		case e.Name == "thread_name":
			names[process[e.Pid]+"|"+string(rune(e.Tid))] = e.Args["name"].(string)
		case e.Ph == "X":
			id, _ := e.Args[statRequest].(string)
			events[process[e.Pid]+"|"+names[process[e.Pid]+"|"+string(rune(e.Tid))]+"|"+e.Name+"|"+id] = e
		}
	}
	device, small := stepPlane+"TPU v6 lite", "64x4x32x16"
	for _, want := range []struct {
		key     string
		ts, dur float64
		args    map[string]any
	}{
		{device + "|Steps|1|", 10e3, 20e3, map[string]any{statStep: 1.0}},
		{device + "|" + small + "|" + small + "|", 10e3, 20e3, map[string]any{statRows: 2.0, statTokens: 50.0, statPadding: 14.0,
			statCached: 7.0, statRequests: "a", statFlops: 64e9, statBytes: 64e6}},
		{device + "|128x4x32x0|128x4x32x0|", 40e3, 10e3,
			map[string]any{statError: "out of memory", statPadding: 0.0}},
		{hostPlane + "|requests 1|encode|a", 1e3, 1e3, map[string]any{statRows: 2.0, statTokens: 50.0}},
		{hostPlane + "|requests 1|wait|a", 2e3, 8e3, nil},
		{hostPlane + "|requests 2|wait|b\uFFFD", 4e3, 36e3, nil},
		{hostPlane + "|requests 1|reply|c", 60e3, 1e3, nil}, // the lane is free again
	} {
		got, ok := events[want.key]
		if !ok {
			t.Errorf("no event %q among %d", want.key, len(events))
			continue
		}
		if *got.Ts != want.ts || *got.Dur != want.dur {
			t.Errorf("%q from %g for %g, want %g, %g", want.key, *got.Ts, *got.Dur, want.ts, want.dur)
		}
		for name, value := range want.args {
			if got.Args[name] != value {
				t.Errorf("%q has %s %v, want %v", want.key, name, got.Args[name], value)
			}
		}
	}
}

func TestHostTracerLevelZeroLeavesRequestsOut(t *testing.T) {
	dir := record(t, Config{}, Options{HostTracerLevel: p(0)}, twoRequests)
	for _, e := range readChrome(t, filepath.Join(dir, "host.trace.json.gz")).TraceEvents {
		if e.Args[statRequest] != nil {
			t.Fatalf("event %+v, want none of requests", e)
		}
	}
}

func TestChromeEventsAreCappedAndTheSpaceIsNot(t *testing.T) {
	dir := record(t, Config{MaxChromeEvents: 3}, Options{}, twoRequests)
	trace := readChrome(t, filepath.Join(dir, "host.trace.json.gz"))
	shown := 0
	for _, e := range trace.TraceEvents {
		if e.Ph == "X" {
			shown++
		}
	}
	space, err := readSpace(filepath.Join(dir, "host.xplane.pb"))
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, plane := range space.Planes {
		for _, line := range plane.Lines {
			all += len(line.Events)
		}
	}
	if shown != 3 || !trace.Metadata.Truncated || trace.Metadata.Omitted != all-3 {
		t.Errorf("%d of %d events shown, metadata %+v", shown, all, trace.Metadata)
	}
}
