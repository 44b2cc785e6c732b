package profile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scored/score"
)

// bench is a profiler whose steps the test takes one by one.
type bench struct {
	*Profiler
	t    *testing.T
	dir  string
	step int64
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	cfg.DefaultDir, cfg.Host = b.dir, "host"
	b.Profiler = New(cfg)
	t.Cleanup(func() { b.Close() })
	return b
}

// run takes n steps, each for one request.
func (b *bench) run(n int) {
	for range n {
		b.step++
		id := fmt.Sprintf("request-%d", b.step)
		start := time.Now()
		b.Observe(score.Span{Stage: score.StageEncode, RequestID: id, Start: start, End: time.Now(), Rows: 3, Tokens: 60})
		b.Observe(score.Span{Stage: score.StageStep, Start: start, End: time.Now(), Number: b.step, Rows: 3, Tokens: 60, Cached: 40,
			Bucket: score.Bucket{Tokens: 64 << (b.step % 2), Rows: 4, Length: 64}, Requests: []string{id}})
		b.Observe(score.Span{Stage: score.StageReply, RequestID: id, Start: time.Now(), End: time.Now()})
	}
}

func (b *bench) start(opts Options) {
	b.t.Helper()
	if err := b.Start(opts); err != nil {
		b.t.Fatalf("Start: %v", err)
	}
}

func (b *bench) stop(want error) {
	b.t.Helper()
	if err := b.Stop(); !errors.Is(err, want) {
		b.t.Fatalf("Stop: %v, want %v", err, want)
	}
}

func (b *bench) running(want bool) {
	b.t.Helper()
	if got := b.Running(); got != want {
		b.t.Fatalf("Running: %v, want %v", got, want)
	}
}

// idle waits until a session that ends by itself has.
func (b *bench) idle() {
	b.t.Helper()
	b.mu.Lock()
	s := b.current
	b.mu.Unlock()
	if s != nil {
		<-s.done
	}
	b.running(false)
}

// traces are the folders of the traces below dir.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, runs, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// steps are the numbers of the steps in the only trace below dir.
func (b *bench) steps(dir string) []string {
	b.t.Helper()
	found := traces(b.t, dir)
	if len(found) != 1 {
		b.t.Fatalf("traces below %s: %v, want one", dir, found)
	}
	space, err := readSpace(filepath.Join(found[0], "host.xplane.pb"))
	if err != nil {
		b.t.Fatal(err)
	}
	var numbers []string
	for _, plane := range space.Planes {
		for _, line := range plane.Lines {
			if line.Name == stepsLine {
				for _, event := range line.Events {
					numbers = append(numbers, eventName(plane, event))
				}
			}
		}
	}
	return numbers
}

func p[T any](v T) *T { return &v }

func TestSessionRecordsTheStepsAskedFor(t *testing.T) {
	for _, tc := range []struct {
		name    string
		emulate bool
		opts    Options
		before  int // steps before Start
		steps   int // steps after it, after which the session must have ended by itself
		sub     string
		want    string
	}{
		{"one", false, Options{NumSteps: p(int64(1))}, 4, 1, "", "5"},
		{"three", false, Options{NumSteps: p(int64(3))}, 0, 3, "", "1 2 3"},
		{"three and more come", false, Options{NumSteps: p(int64(3))}, 0, 9, "", "1 2 3"},
		{"start step 0 is now", false, Options{StartStep: p(int64(0)), NumSteps: p(int64(2))}, 1, 2, "", "2 3"},
		{"armed", false, Options{StartStep: p(int64(5)), NumSteps: p(int64(2))}, 1, 5, "", "5 6"},
		{"armed for a step gone by", false, Options{StartStep: p(int64(2)), NumSteps: p(int64(2))}, 7, 2, "", "8 9"},
		{"armed below zero", false, Options{StartStep: p(int64(-2)), NumSteps: p(int64(2))}, 7, 2, "", "8 9"},
		{"armed for the next", false, Options{StartStep: p(int64(8)), NumSteps: p(int64(1))}, 7, 1, "", "8"},
		{"by stage", false, Options{ByStage: true, StartStep: p(int64(90))}, 1, 5, "prefill", "2 3 4 5 6"},
		{"by stage, two", false, Options{ByStage: true, NumSteps: p(int64(2)), Stages: []string{"prefill"}}, 0, 2, "prefill", "1 2"},
		{"sglang-jax: one step less", true, Options{NumSteps: p(int64(3))}, 0, 2, "", "1 2"},
		{"sglang-jax: one is none", true, Options{NumSteps: p(int64(1))}, 0, 1, "", ""},
		{"sglang-jax: armed is exact", true, Options{StartStep: p(int64(2)), NumSteps: p(int64(2))}, 0, 3, "", "2 3"},
		{"sglang-jax: by stage, one more", true, Options{ByStage: true, NumSteps: p(int64(2)), Stages: []string{"prefill"}}, 0, 3, "prefill", "1 2 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, Config{EmulateSGLang: tc.emulate})
			b.run(tc.before)
			b.start(tc.opts)
			b.run(tc.steps)
			b.idle() // although nothing more happens
			if got := strings.Join(b.steps(filepath.Join(b.dir, tc.sub)), " "); got != tc.want {
				t.Errorf("steps %q, want %q", got, tc.want)
			}
			if tc.emulate {
				b.stop(ErrIdle)
			} else {
				b.stop(nil)
			}
			b.stop(ErrIdle)
		})
	}
}

func TestStepUnderWayAtStartDoesNotCount(t *testing.T) {
	b := newBench(t, Config{})
	before := time.Now()
	b.start(Options{NumSteps: p(int64(1))})
	b.step++
	b.Observe(score.Span{Stage: score.StageStep, Number: b.step, Start: before, End: time.Now()})
	b.running(true)
	b.run(1)
	b.idle()
	if got := b.steps(b.dir); len(got) != 1 || got[0] != "2" {
		t.Errorf("steps %v, want step 2 alone", got)
	}
}

func TestStates(t *testing.T) {
	t.Run("open end", func(t *testing.T) {
		b := newBench(t, Config{})
		b.stop(ErrIdle)
		b.start(Options{NumSteps: p(int64(0))})
		b.running(true)
		b.run(7)
		if err := b.Start(Options{}); !errors.Is(err, ErrRunning) {
			t.Fatalf("second Start: %v, want ErrRunning", err)
		}
		b.stop(nil)
		b.running(false)
		if got := b.steps(b.dir); len(got) != 7 {
			t.Errorf("steps %v, want 7: a refused Start must not hurt the session", got)
		}
		b.stop(ErrIdle)
	})
	t.Run("armed", func(t *testing.T) {
		b := newBench(t, Config{})
		b.start(Options{StartStep: p(int64(1 << 40))})
		b.run(3)
		b.running(false)
		b.start(Options{StartStep: p(int64(4)), NumSteps: p(int64(2))}) // replaces the other
		b.running(false)                                                // though step 4 is the next
		b.run(1)
		b.running(true)
		b.run(1)
		b.idle()
		if got := strings.Join(b.steps(b.dir), " "); got != "4 5" {
			t.Errorf("steps %q, want 4 5", got)
		}
	})
	t.Run("armed and stopped", func(t *testing.T) {
		b := newBench(t, Config{})
		b.start(Options{StartStep: p(int64(2))})
		b.stop(nil)
		b.run(5)
		b.running(false)
		if got := traces(t, b.dir); len(got) != 0 {
			t.Errorf("traces %v, want none", got)
		}
		b.stop(ErrIdle)
	})
	t.Run("sglang-jax: armed stays armed", func(t *testing.T) {
		b := newBench(t, Config{EmulateSGLang: true})
		b.start(Options{StartStep: p(int64(2))})
		b.stop(ErrIdle)
		b.run(2)
		b.running(true)
		b.stop(nil)
	})
	t.Run("sglang-jax: by stage waits for decode", func(t *testing.T) {
		b := newBench(t, Config{EmulateSGLang: true})
		b.start(Options{ByStage: true})
		b.running(true)
		b.run(20)
		b.running(true)
		b.stop(nil)
		if got := b.steps(filepath.Join(b.dir, prefill)); len(got) != stageSteps+1 {
			t.Errorf("steps %v, want %d", got, stageSteps+1)
		}
	})
	t.Run("decode alone records nothing", func(t *testing.T) {
		b := newBench(t, Config{})
		b.start(Options{ByStage: true, Stages: []string{"decode"}})
		b.run(20)
		b.running(true)
		b.stop(nil)
		if got := traces(t, filepath.Join(b.dir, prefill)); len(got) != 0 {
			t.Errorf("traces %v, want none", got)
		}
	})
	t.Run("closed", func(t *testing.T) {
		b := newBench(t, Config{})
		b.start(Options{})
		b.run(2)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if got := b.steps(b.dir); len(got) != 2 {
			t.Errorf("steps %v, want the two before Close", got)
		}
		if err := b.Start(Options{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Start: %v, want ErrClosed", err)
		}
	})
}

func TestOptionsRefused(t *testing.T) {
	for _, opts := range []Options{
		{NumSteps: p(int64(-1))},
		{ByStage: true, Stages: []string{"prefill", "warmup"}},
	} {
		b := newBench(t, Config{})
		var refused *OptionError
		if err := b.Start(opts); !errors.As(err, &refused) {
			t.Errorf("Start(%+v): %v, want an OptionError", opts, err)
		}
		b.running(false)
	}
}

func TestFiveSessionsWithinASecond(t *testing.T) {
	b := newBench(t, Config{})
	for range 5 {
		b.start(Options{NumSteps: p(int64(3))})
		b.run(3)
		b.stop(nil)
	}
	found := traces(t, b.dir)
	if len(found) != 5 {
		t.Fatalf("traces %v, want 5", found)
	}
	for i, dir := range found {
		if _, err := time.Parse(stamp, filepath.Base(dir)); err != nil {
			t.Error(err)
		}
		space, err := readSpace(filepath.Join(dir, "host.xplane.pb"))
		if err != nil {
			t.Fatal(err)
		}
		if got := space.Planes[0].Lines[0].Events; len(got) != 3 {
			t.Errorf("trace %d has %d steps, want 3", i, len(got))
		}
	}
}
