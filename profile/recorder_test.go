package profile

import (
	"sync/atomic"
	"testing"
	"time"

	"scored/score"
)

// TestRecorderPhases: what a recorder has closed, kept and let go after each span,
// without a session around it.
func TestRecorderPhases(t *testing.T) {
	isClosed := func(c chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	var live atomic.Pointer[recorder]
	r := newRecorder(plan{armed: true, from: 5, limit: 2}, spanLog{maxEvents: 100, maxBytes: 1 << 20}, 2, &live)
	live.Store(r)
	step := func(number int64, requests ...string) {
		at := time.Now()
		r.observe(&score.Span{Stage: score.StageStep, Number: number, Start: at, End: at, Requests: requests})
	}
	reply := func(id string) {
		at := time.Now()
		r.observe(&score.Span{Stage: score.StageReply, RequestID: id, Start: at, End: at})
	}
	want := func(when string, state State, due, ended, sealed bool, steps int64, events int) {
		t.Helper()
		st := r.status()
		if isClosed(r.due) != due || isClosed(r.ended) != ended || isClosed(r.sealed) != sealed || st.State != state || st.Steps != steps || st.Events != events {
			t.Errorf("%s: due %t, ended %t, sealed %t, %+v", when, isClosed(r.due), isClosed(r.ended), isClosed(r.sealed), st)
		}
		if r.armed() != (state == Armed) || (live.Load() == nil) != sealed {
			t.Errorf("%s: armed %t, live %t", when, r.armed(), live.Load() != nil)
		}
	}
	want("after step 2", Armed, false, false, false, 0, 0)
	step(3)
	want("a step before the last that is not recorded", Armed, true, false, false, 0, 0)
	step(4)
	want("the next step is the first", Armed, true, false, false, 0, 0)
	reply("a")
	want("an answer beside it", Armed, true, false, false, 0, 1)
	step(5, "a", "b")
	want("one of two steps", Recording, true, false, false, 1, 2)
	if r.cancel() {
		t.Error("a session that records is cancelled")
	}
	step(6, "b", "c")
	want("both steps", Recording, true, true, false, 2, 3)
	step(7, "d")
	reply("d")
	reply("b")
	want("a step too many, and one answer of two", Recording, true, true, false, 2, 5)
	reply("c")
	want("the last answer", Writing, true, true, true, 2, 6)
	reply("e")
	all, ok := r.take()
	if !ok || all.steps != 2 || all.spans.events != 6 || len(all.spans.chunks) == 0 || all.truncated() {
		t.Errorf("%+v, %t", all, ok)
	}
	if again, _ := r.take(); len(again.spans.chunks) != 0 || r.status().Events != 6 {
		t.Error("spans are kept after they were taken, or their number is not")
	}
}
