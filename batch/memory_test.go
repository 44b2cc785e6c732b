package batch

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// endless makes records as they are asked for.
type endless struct {
	made, most int64
	answered   *atomic.Int64
	ahead      int64 // the most that were made and not answered
}

func (e *endless) next() (*record, error) {
	if e.made == e.most {
		return nil, io.EOF
	}
	r := &record{n: e.made, line: e.made + 1, id: "x", method: "POST", path: "/v1/score", body: fmt.Appendf(nil, `{"query":"q%d"}`, e.made%7)}
	r.derive()
	e.made++
	e.ahead = max(e.ahead, e.made-e.answered.Load())
	return r, nil
}

func (e *endless) close() error { return nil }

// TestMemory: what is in memory does not grow with the file: no more than three windows
// are read and not answered, though the first line is the last to be answered of its
// window.
func TestMemory(t *testing.T) {
	o := options()
	o.Window = 100
	var answered atomic.Int64
	scorer := scorerFunc(func(_ context.Context, r *Request) (*Answer, error) {
		answered.Add(1)
		return &Answer{Status: 200, Body: []byte("{}")}, nil
	})
	for _, lines := range []int64{1_000, 50_000} {
		answered.Store(0)
		out, err := openOutput(filepath.Join(t.TempDir(), "out.jsonl"), o)
		if err != nil {
			t.Fatal(err)
		}
		in := &endless{most: lines, answered: &answered}
		f := &file{o: o, scorer: scorer, out: out, count: &counters{}}
		if err := f.run(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if err := out.finish(); err != nil {
			t.Fatal(err)
		}
		if most := int64((windowsInHand+2)*o.Window + o.Concurrency); in.ahead > most {
			t.Errorf("of %d lines %d were in memory, want %d at most", lines, in.ahead, most)
		}
		if f.count.lines.Load() != lines {
			t.Errorf("%d of %d lines were written", f.count.lines.Load(), lines)
		}
	}
}

type scorerFunc func(ctx context.Context, r *Request) (*Answer, error)

func (s scorerFunc) Score(ctx context.Context, r *Request) (*Answer, error) { return s(ctx, r) }
