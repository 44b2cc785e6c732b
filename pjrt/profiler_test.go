package pjrt

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// buildProfiler builds the plugin of testdata/profiler.c and finds its profiler.
func buildProfiler(t *testing.T, flags ...string) (*Profiler, error) {
	t.Helper()
	lib, err := openLibrary(buildPlugin(t, t.TempDir(), "profiler.so", append([]string{"-DPROFILER"}, flags...)...))
	if err != nil {
		t.Fatal(err)
	}
	return lib.profiler()
}

// fields lists the fields of a message, all of them bytes.
func fields(t *testing.T, message []byte) map[protowire.Number][]string {
	t.Helper()
	found := map[protowire.Number][]string{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 || kind != protowire.BytesType {
			t.Fatalf("at %q: not a field of bytes", message)
		}
		value, size := protowire.ConsumeBytes(message[n:])
		if size < 0 {
			t.Fatalf("at %q: %v", message, protowire.ParseError(size))
		}
		found[number] = append(found[number], string(value))
		message = message[n+size:]
	}
	return found
}

func TestProfilerTraces(t *testing.T) {
	for name, flag := range map[string]string{
		"into our buffer": "-DCOLLECT=0", "from the plugin's, with a NUL": "-DCOLLECT=1", "from the plugin's": "-DCOLLECT=2",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := buildProfiler(t, flag)
			if err != nil {
				t.Fatal(err)
			}
			for _, levels := range [][2]int{{2, 1}, {0, 0}, {3, 200}} { // a second trace of one profiler is as good as the first
				if err := p.Start(levels[0], levels[1]); err != nil {
					t.Fatal(err)
				}
				if err := p.Start(2, 1); err == nil {
					t.Error("a second trace began beside the first")
				}
				trace, err := p.Stop()
				if err != nil {
					t.Fatal(err)
				}
				got := fields(t, trace)
				if planes := got[1]; len(planes) != 1 || planes[0] != "\x12\x0e/device:TEST:0" {
					t.Errorf("planes %q", planes)
				}
				if options := got[3]; len(options) != 1 || options[0] != string(profileOptions(levels[0], levels[1])) {
					t.Errorf("plugin was given options %q", options)
				}
				if _, err := p.Stop(); err == nil {
					t.Error("a trace was stopped twice")
				}
			}
		})
	}
}

// The bytes are those that TensorFlow's own ProfileOptions has for these values.
func TestProfileOptions(t *testing.T) {
	if got, want := profileOptions(2, 1), []byte{2 << 3, 2, 3 << 3, 1, 5 << 3, 1, 7 << 3, 1}; !bytes.Equal(got, want) {
		t.Errorf("options %x, want %x", got, want)
	}
}

func TestProfilerFails(t *testing.T) {
	for _, test := range []struct {
		flag, start, stop string // what the errors say; "": none
		code              Code
		trace             bool // comes all the same
	}{
		{"-DFAIL=1", "cannot be made: RESOURCE_EXHAUSTED: no tracer to be had", "", ResourceExhausted, false},
		{"-DFAIL=2", "does not start: UNAVAILABLE: device is busy", "", Unavailable, false},
		{"-DFAIL=3", "", "does not stop: DATA_LOSS: buffer has overrun", DataLoss, false},
		{"-DFAIL=4", "", "cannot be had: UNKNOWN: trace is lost", Unknown, false},
		{"-DFAIL=5", "", "cannot be had: UNKNOWN: trace is lost", Unknown, false},
		{"-DFAIL=6", "", "is not freed: INTERNAL: still in use", Internal, true},
		{"-DNO_SESSION", "the plugin returned nothing", "", OK, false},
		{"-DCOLLECT=4", "", "1099511627776 bytes", OK, false},
	} {
		t.Run(test.flag, func(t *testing.T) {
			p, err := buildProfiler(t, test.flag)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the plugin complains the second time of what was not freed the first
				err := p.Start(2, 1)
				checkError(t, err, test.start, test.code)
				if err != nil {
					continue
				}
				trace, err := p.Stop()
				checkError(t, err, test.stop, test.code)
				if (trace != nil) != test.trace {
					t.Errorf("trace %q", trace)
				}
			}
		})
	}
}

// checkError checks that err says want, if it is not "", and has the plugin's code, if
// it is not OK.
func checkError(t *testing.T, err error, want string, code Code) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	var own *Error
	if errors.As(err, &own) != (code != OK) || own != nil && own.Code != code {
		t.Errorf("error %v has not the code %s", err, code)
	}
}

func TestProfilerOfNothing(t *testing.T) {
	p, err := buildProfiler(t, "-DCOLLECT=3")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(2, 1); err != nil {
		t.Fatal(err)
	}
	if trace, err := p.Stop(); err != nil || trace == nil || len(trace) != 0 {
		t.Errorf("trace %q, error %v; want an empty trace", trace, err)
	}
}

func TestProfilerIsAbandoned(t *testing.T) {
	p, err := buildProfiler(t)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Start(2, 1); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.abandon(), p.abandon()); err != nil {
			t.Fatal(err)
		}
	}
}

// The plugin is not safe for concurrent use and says so at once.
func TestProfilerIsSafeForConcurrentUse(t *testing.T) {
	p, err := buildProfiler(t)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var started, stopped, broken sync.Map
	for n := range 8 {
		all.Go(func() {
			for m := range 200 {
				if err := p.Start(2, 1); err == nil {
					started.Store([2]int{n, m}, true)
				} else if !strings.Contains(err.Error(), "already") {
					broken.Store(err.Error(), true)
				}
				if _, err := p.Stop(); err == nil {
					stopped.Store([2]int{n, m}, true)
				} else if !strings.Contains(err.Error(), "not being traced") {
					broken.Store(err.Error(), true)
				}
			}
		})
	}
	all.Wait()
	broken.Range(func(text, _ any) bool { t.Error(text); return true })
	count := func(m *sync.Map) (n int) { m.Range(func(any, any) bool { n++; return true }); return n }
	if a, b := count(&started), count(&stopped); a == 0 || a != b {
		t.Errorf("%d traces started and %d stopped", a, b)
	}
}

func TestPluginsWithoutProfiler(t *testing.T) {
	for _, test := range []struct{ flag, want string }{
		{"-UPROFILER", "no profiler extension"}, // undefined again after buildProfiler's own flag
		{"-DEMPTY", "is empty"},
		{"-DOLD_API", "too old"},
		{"-DOLD_EXTENSION", "too old"},
		{"-DNO_STOP", "lacks stop"},
	} {
		if _, err := buildProfiler(t, test.flag); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v does not say %q", test.flag, err, test.want)
		}
	}
	p := openTest(t, Options{})
	if _, err := p.Profiler(); err == nil || !strings.Contains(err.Error(), "no profiler extension") || p.Info().ProfilerExtension {
		t.Errorf("the CPU's: %v", err)
	}
}

// Real plugins keep to the layout too. Without their device, libtpu does not start,
// twice with the same error, for a session that was not freed would make the second one
// different; and CUDA's traces nothing but metadata.
func TestProfilerOfRealPlugins(t *testing.T) {
	for _, env := range []string{testTPUEnv, "SCORED_TEST_CUDA"} {
		t.Run(env, func(t *testing.T) {
			path := os.Getenv(env)
			if path == "" {
				t.Skipf("%s does not name a plugin", env)
			}
			lib, err := openLibrary(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := lib.profiler()
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for range 2 {
				var own *Error
				if err := p.Start(2, 1); err == nil {
					trace, err := p.Stop()
					if err != nil || len(fields(t, trace)[1]) == 0 {
						t.Fatalf("trace of %d bytes, error %v; want planes", len(trace), err)
					}
					t.Logf("planes %.40q", fields(t, trace)[1])
				} else if texts = append(texts, err.Error()); !errors.As(err, &own) || own.Message == "" {
					t.Fatalf("error %v is not the plugin's", err)
				}
			}
			if len(texts) == 2 && texts[0] != texts[1] {
				t.Errorf("errors %q", texts)
			}
			t.Log(texts)
		})
	}
}
