package profile

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"scored/profile/internal/xplane"
	"scored/score"
)

// report returns the text of a report with runs of spaces made one.
func report(t *testing.T, dir string, opts ReportOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Report(dir, &out, opts); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
}

// mustContain checks for whole lines.
func mustContain(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("report lacks the line %q", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// knownLoad has, in a window of 100 ms: a step of 20 ms and one of 10, a wait before
// each, and idle time of every cause.
func knownLoad(at func(int) time.Time) []score.Span {
	stage := func(stage score.Stage, id string, from, to int) score.Span {
		return score.Span{Stage: stage, RequestID: id, Start: at(from), End: at(to)}
	}
	return []score.Span{
		stage(score.StageRead, "a", 0, 1), stage(score.StageEncode, "a", 1, 4), stage(score.StageWait, "a", 4, 10),
		{Stage: score.StageStep, Number: 1, Start: at(10), End: at(30), Tokens: 48, Cached: 16, Bucket: score.Bucket{Tokens: 64, Rows: 4}},
		stage(score.StageRun, "a", 10, 30), stage(score.StageReply, "a", 30, 32),
		stage(score.StageWait, "b", 52, 60),
		{Stage: score.StageStep, Number: 2, Start: at(60), End: at(70), Tokens: 64, Bucket: score.Bucket{Tokens: 64, Rows: 4}},
		stage(score.StageRun, "b", 60, 70),
		{Stage: score.StageStep, Number: 3, Start: at(100), End: at(100), Bucket: score.Bucket{Tokens: 64, Rows: 4}},
	}
}

func TestReportOfOurTrace(t *testing.T) {
	dir := record(t, Config{Cost: cost, DeviceName: "TPU v6 lite"}, Options{NumSteps: p(int64(3))}, knownLoad)
	text := report(t, dir, ReportOptions{})
	// 64 GFLOP in 30 ms / 3 steps, a roof of 918 TFLOP/s and 64 MB at 1.64 TB/s: 0.0697 ms
	// of arithmetic each.
	mustContain(t, text,
		"TRACE OF HOST", "device TPU v6 lite", "length 100.00 ms", "steps 3", "requests 2",
		"device busy 30.0 %", "time per step 10.00 ms", "padding, of tokens computed 41.7 %", "cached, of prompt tokens 12.5 %",
		"achieved while busy 6.40 TFLOP/s", "of the device's roofline 0.7 %",
		"64x4x0x0 3 30.00 ms 100.0 % 10.00 ms 20.00 ms 6.40 0.7 % of arithmetic",
		"rows waited: the host was late to form or launch a step 14.00 ms 14.0 % 8.00 ms 2",
		"requests were being tokenized 3.00 ms 3.0 % 3.00 ms 1",
		"bodies were arriving 1.00 ms 1.0 % 1.00 ms 1",
		"answers were being written 2.00 ms 2.0 % 2.00 ms 1",
		"no request was in the server 50.00 ms 50.0 % 30.00 ms 2",
		"a 32.00 ms 1.00 ms 3.00 ms 6.00 ms 20.00 ms 2.00 ms",
	)
}

func TestReportComparesTwoTraces(t *testing.T) {
	quick := record(t, Config{}, Options{}, func(at func(int) time.Time) []score.Span {
		return []score.Span{{Stage: score.StageStep, Number: 1, Start: at(0), End: at(5), Tokens: 64, Bucket: score.Bucket{Tokens: 64}}}
	})
	slow := record(t, Config{}, Options{NumSteps: p(int64(3))}, knownLoad)
	text := report(t, quick, ReportOptions{Against: slow})
	mustContain(t, text, "COMPARISON", "time per step 10.00 ms 5.00 ms -50.0 %", "padding, of tokens computed 41.7 % 0.0 % -100.0 %")
}

// Steps of two devices overlap: each has a plane, and the device is busy as the mean of
// both.
func TestReportOfTwoDevices(t *testing.T) {
	dir := record(t, Config{Cost: cost, DeviceName: "TPU v6 lite"}, Options{NumSteps: p(int64(4))}, func(at func(int) time.Time) []score.Span {
		step := func(number int64, device, from, to int) score.Span {
			return score.Span{Stage: score.StageStep, Number: number, Device: device, Start: at(from), End: at(to), Tokens: 64, Bucket: score.Bucket{Tokens: 64}}
		}
		return []score.Span{step(1, 0, 0, 40), step(2, 1, 10, 50), step(3, 1, 50, 60), step(4, 0, 100, 100)}
	})
	mustContain(t, report(t, dir, ReportOptions{}),
		"device 2 of TPU v6 lite", "length 100.00 ms", "steps 4", "device busy 45.0 %", "time per step 22.50 ms", "achieved while busy 2.84 TFLOP/s",
		"64x0x0x0 4 90.00 ms 100.0 % 22.50 ms 40.00 ms 2.84 0.3 % of arithmetic",
		"ALL DEVICES IDLE", "unknown: the trace shows no requests 40.00 ms 40.0 % 40.00 ms 1")
	ends := map[[2]int64]float64{} // of the last event by process and thread
	for _, e := range readChrome(t, filepath.Join(dir, "host.trace.json.gz")).TraceEvents {
		if e.Ph == "X" && e.Name != "step" { // a step lies around its executable
			if key := [2]int64{int64(e.Pid), e.Tid}; *e.Ts < ends[key] {
				t.Errorf("event %+v overlaps the one before", e)
			} else {
				ends[key] = *e.Ts + *e.Dur
			}
		}
	}
}

// sglangTrace is the trace of testdata/sglang-jax.textproto where jax.profiler would
// put it.
func sglangTrace(t *testing.T) string { return traceOf(t, "testdata/sglang-jax.textproto") }

// traceOf writes a trace where a profiler would, and returns its log folder.
func traceOf(t *testing.T, file string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var space xplane.XSpace
	if err := prototext.Unmarshal(source, &space); err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(&space)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := filepath.Join(dir, runs, "2026_01_02_03_04_05")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "t1v-n-0123-w-0.xplane.pb"), encoded, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReportOfAPeersTrace(t *testing.T) {
	// Of each step of 500 us, the roof in the trace, of 918 TFLOP/s and 1600 GB/s, takes
	// 100 us for the product, 10 for the copy and 50 for the elementwise fusion.
	mustContain(t, report(t, sglangTrace(t), ReportOptions{}),
		"TRACE OF T1V-N-0123-W-0", "device TPU v6 lite", "length 2.00 ms", "steps 2", "requests 0",
		"device busy 50.0 %", "time per step 500.0 us",
		"achieved while busy 183.60 TFLOP/s", "of the device's roofline 32.0 %",
		"jit_jitted_run_model(8270331957146511131) 2 1.00 ms 100.0 % 500.0 us 500.0 us ",
		"convolution fusion 2 400.0 us 40.0 % 200.0 us 200.0 us 459.00 50.0 % of arithmetic",
		"while 2 200.0 us 20.0 % 100.0 us 100.0 us ",
		"data formatting 2 200.0 us 20.0 % 100.0 us 100.0 us 10.0 % of memory",
		"loop fusion 2 200.0 us 20.0 % 100.0 us 100.0 us 0.0100 50.0 % of memory",
		"fusion.1 2 400.0 us 40.0 % 200.0 us 200.0 us 459.00 50.0 % of arithmetic",
		"copy.2 2 200.0 us 20.0 % 100.0 us 100.0 us 10.0 % of memory",
		"while.5 2 200.0 us 20.0 % 100.0 us 100.0 us ",
		"unknown: the trace shows no requests 1.00 ms 50.0 % 500.0 us 3",
	)
	mustContain(t, report(t, sglangTrace(t), ReportOptions{Device: "v6e"}), // 1640 GB/s
		"device v6e", "copy.2 2 200.0 us 20.0 % 100.0 us 100.0 us 9.8 % of memory")
}

// A GPU's tracer knows streams of kernels and no executables. What is of the device
// adds up to what it was busy, and its pauses within a step are not put down to
// requests.
func TestReportOfAGPU(t *testing.T) {
	mustContain(t, report(t, traceOf(t, "testdata/gpu.textproto"), ReportOptions{}),
		"device NVIDIA H100 80GB HBM3", "length 4.00 ms", "steps 2", "requests 3", "device busy 29.5 %", "time per step 590.0 us",
		"achieved while busy 200.00 TFLOP/s",
		"TIME PER EXECUTABLE", "executable runs total of busy mean longest TFLOP/s roofline",
		"block_t2048_r12_l192_p128 4 1.00 ms 84.7 % 250.0 us 250.0 us ",
		"embed_t2048 2 100.0 us 8.5 % 50.0 us 50.0 us ",
		"last_t2048_r32 2 20.0 us 1.7 % 10.0 us 10.0 us ", // the other half of it is the copy's
		"TIME PER STEP SHAPE, BY THE HOST'S CLOCK", "shape runs total of length mean longest TFLOP/s roofline",
		"2048x12x192x128 2 2.00 ms 50.0 % 1.00 ms 1.00 ms 118.00 11.9 % of arithmetic",
		"attend 4 600.0 us 50.8 % 150.0 us 150.0 us ", "nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_TNT 4 400.0 us 33.9 % 100.0 us 100.0 us ",
		"loop_gather_fusion 2 100.0 us 8.5 % 50.0 us 50.0 us ", "MemcpyD2H 2 60.0 us 5.1 % 30.0 us 30.0 us ",
		"loop_multiply_fusion 2 20.0 us 1.7 % 10.0 us 10.0 us ",
		"a step was between two of its kernels 60.0 us 1.5 % 10.0 us 10",
		"a step had its inputs packed, or its answers read 760.0 us 19.0 % 280.0 us 4",
		"rows waited: the host was late to form or launch a step 150.0 us 3.8 % 100.0 us 2",
		"a request was between two of its steps 50.0 us 1.2 % 50.0 us 1",
		"answers were being written 20.0 us 0.5 % 20.0 us 1",
		"no request was in the server 1.78 ms 44.5 % 900.0 us 2",
	)
}

// Whatever overlaps whatever, parts are no more than the whole.
func TestOwnTimesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		in := make([]interval, random.IntN(8))
		for i := range in {
			start := float64(random.IntN(20))
			in[i] = interval{start, start + float64(random.IntN(10))}
		}
		sum := 0.0
		for i, own := range ownTimes(in) {
			if own < 0 || own > in[i].length() {
				t.Fatalf("of %v, number %d has %v of its own", in, i, own)
			}
			sum += own
		}
		if want := total(union(in)); sum != want {
			t.Fatalf("%v have %v of their own, together they last %v", in, sum, want)
		}
	}
}

func TestReportSetsAPeersTraceBesideOurs(t *testing.T) {
	ours := record(t, Config{Cost: cost, DeviceName: "TPU v6 lite"}, Options{NumSteps: p(int64(3))}, knownLoad)
	mustContain(t, report(t, ours, ReportOptions{Against: sglangTrace(t)}), "device busy 50.0 % 30.0 % -40.0 %",
		"time per step 500.0 us 10.00 ms +1900.0 %")
}

func TestReportFindsTheNewestTrace(t *testing.T) {
	b := newBench(t, Config{})
	for n := range int64(2) {
		b.start(Options{NumSteps: p(n + 3)})
		b.run(int(n) + 3)
		b.stop(nil)
	}
	mustContain(t, report(t, b.dir, ReportOptions{}), "steps 4")
}

func TestReportRefuses(t *testing.T) {
	b := newBench(t, Config{})
	b.start(Options{})
	b.stop(nil)
	for name, err := range map[string]error{
		"no trace":       Report(t.TempDir(), &bytes.Buffer{}, ReportOptions{}),
		"no folder":      Report(filepath.Join(b.dir, "nowhere"), &bytes.Buffer{}, ReportOptions{}),
		"unknown device": Report(b.dir, &bytes.Buffer{}, ReportOptions{Device: "abacus"}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReportEscapesNames(t *testing.T) {
	dir := record(t, Config{}, Options{}, func(at func(int) time.Time) []score.Span {
		return []score.Span{{Stage: score.StageReply, RequestID: "<script>\x1b[2J\n", Start: at(0), End: at(1)}}
	})
	var html bytes.Buffer
	if err := Report(dir, &html, ReportOptions{HTML: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(html.String(), "&lt;script&gt;") || strings.Contains(html.String(), "<script>") {
		t.Error("a request's id is not escaped in HTML")
	}
	if text := report(t, dir, ReportOptions{}); strings.Contains(text, "\x1b") || !strings.Contains(text, "<script>") {
		t.Errorf("control characters in the text: %q", text)
	}
}

// FuzzReport feeds the reader XSpaces of any shape: it must answer, whatever they hold.
func FuzzReport(f *testing.F) {
	b := newPlane("/device:TPU:0", time.Time{})
	b.event(b.line(modulesLine), b.kind("jit_run", nil), time.Time{}, time.Time{}.Add(time.Second))
	ours := newPlane(stepPlane+"CPU", time.Time{})
	ours.event(ours.line("tokens 1"), ours.kind("x", nil), time.Time{}, time.Time{}.Add(1), ours.integer(statTokens, 1))
	lanes := newPlane(hostPlane, time.Time{})
	lanes.event(lanes.line("requests"), lanes.kind("wait", nil), time.Time{}, time.Time{}.Add(1), lanes.text(statRequest, "a"))
	seed, err := proto.Marshal(&xplane.XSpace{Planes: []*xplane.XPlane{b.plane, ours.plane, lanes.plane}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var space xplane.XSpace
		if proto.Unmarshal(data, &space) != nil {
			return
		}
		s := summarize(&space)
		s.roof, _ = findRoof("v6e")
		if err := writeText(&bytes.Buffer{}, append(s.sections(5), compare(s, s))); err != nil {
			t.Fatal(err)
		}
		if err := writeChrome(&bytes.Buffer{}, &space, 1000, false); err != nil {
			t.Fatal(err)
		}
		device, err := readDevice(data, time.Now(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		merge(&xplane.XSpace{Planes: []*xplane.XPlane{{Name: hostPlane}}}, device)
	})
}
