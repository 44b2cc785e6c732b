package profile

import (
	"testing"
	"time"

	"scored/score"
)

// overheadSpans are what one request of one step costs in spans.
func overheadSpans() []score.Span {
	at := time.Now()
	spans := []score.Span{{Stage: score.StageStep, Number: 1, Start: at, End: at, Rows: 10, Tokens: 300,
		Bucket: score.Bucket{Tokens: 512, Rows: 16}, Requests: []string{"0123456789abcdef"}}}
	for _, stage := range requestStages {
		spans = append(spans, score.Span{Stage: stage, RequestID: "0123456789abcdef", Start: at, End: at, Rows: 10})
	}
	return spans
}

func TestObserveAllocatesNothingWhenOff(t *testing.T) {
	b := newBench(t, Config{})
	spans := overheadSpans()
	off := func(when string) {
		t.Helper()
		if n := testing.AllocsPerRun(100, func() {
			for i := range spans {
				b.Observe(spans[i])
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", when, n)
		}
	}
	off("before any session")
	b.start(Options{})
	b.run(1)
	b.stop(nil)
	off("after a session")
}

// BenchmarkObserve tells what a span costs the goroutine that ends it: without a
// session, while one waits for its first step, and while one records.
func BenchmarkObserve(b *testing.B) {
	never := int64(1 << 60)
	for _, state := range []struct {
		name string
		opts *Options
	}{{"off", nil}, {"armed", &Options{StartStep: &never}}, {"recording", &Options{}}} {
		b.Run(state.name, func(b *testing.B) {
			p := New(Config{DefaultDir: b.TempDir(), MaxDuration: time.Hour})
			defer p.Close()
			if state.opts != nil {
				if err := p.Start(*state.opts); err != nil {
					b.Fatal(err)
				}
			}
			s := p.live.Load()
			spans := overheadSpans()
			for i := range spans {
				spans[i].Start = time.Now()
				spans[i].End = spans[i].Start
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				p.Observe(spans[n%len(spans)])
				if n++; n%(1<<16) == 0 && s != nil {
					s.spans = spanLog{maxEvents: s.spans.maxEvents, maxBytes: s.spans.maxBytes} // before its bounds make it cheaper
				}
			}
		})
	}
}
