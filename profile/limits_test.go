package profile

import (
	"path/filepath"
	"scored/score"
	"testing"
	"testing/synctest"
	"time"
)

func TestSessionEndsAfterMaxDuration(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir, Profiler: New(Config{DefaultDir: dir, Host: "host", MaxDuration: time.Minute})}
		b.start(Options{})
		b.run(2)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		b.running(true)
		time.Sleep(2 * time.Second)
		b.idle()
		if st := b.Status(); !st.Truncated || st.Steps != 2 || st.State != Idle {
			t.Errorf("status %+v, want 2 steps, truncated", st)
		}
		b.stop(nil)
	})
}

func TestSpansBeyondTheCapsAreCounted(t *testing.T) {
	for name, cfg := range map[string]Config{"events": {MaxEvents: 10}, "bytes": {MaxBytes: 10 * (spanBytes + 26)}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cfg)
			b.start(Options{})
			b.run(100)
			b.stop(nil)
			st := b.Status()
			if !st.Truncated || st.Steps != 100 || st.Events+int(st.Dropped) != 300 || st.Events > 12 {
				t.Errorf("status %+v, want 100 steps and about 10 of 300 spans", st)
			}
			if meta := readChrome(t, filepath.Join(st.Dir, "host.trace.json.gz")).Metadata; !meta.Truncated {
				t.Errorf("metadata %+v, want truncated", meta)
			}
		})
	}
}

func TestLastRequestsAreRecordedToTheirEnd(t *testing.T) {
	last := score.Span{Stage: score.StageStep, Number: 1, Requests: []string{"a", "b"}}
	observe := func(b *bench, span score.Span) {
		span.Start, span.End = time.Now(), time.Now()
		b.Observe(span)
	}
	t.Run("answered", func(t *testing.T) {
		b := newBench(t, Config{})
		b.start(Options{NumSteps: p(int64(1))})
		observe(b, last)
		for _, id := range []string{"a", "b"} {
			b.running(true)
			observe(b, score.Span{Stage: score.StageRun, RequestID: id})
			observe(b, score.Span{Stage: score.StageStep, Number: 2, Requests: []string{id}}) // not asked for
			observe(b, score.Span{Stage: score.StageReply, RequestID: id})
		}
		b.idle()
		if st := b.Status(); st.Steps != 1 || st.Events != 5 || st.Truncated {
			t.Errorf("status %+v, want one step and four spans of its requests", st)
		}
	})
	t.Run("never answered", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := &bench{t: t, dir: dir, Profiler: New(Config{DefaultDir: dir, Host: "host"})}
			b.start(Options{NumSteps: p(int64(1))})
			observe(b, last)
			time.Sleep(linger)
			b.idle()
			if got := b.steps(dir); len(got) != 1 {
				t.Errorf("steps %v, want one", got)
			}
		})
	})
}
