package score

import (
	"slices"
	"testing"

	"scored/score/plan"
	"scored/score/scoretest"
)

// jobOf returns a job of rows of five tokens each, without a shared prefix, for d or for
// any device.
func jobOf(t *testing.T, d *device, rows int) *job {
	t.Helper()
	ladder, err := plan.NewLadder(testBuckets(), 256)
	if err != nil {
		t.Fatal(err)
	}
	prompts := make([][]int32, rows)
	for i := range prompts {
		prompts[i] = []int32{int32(i), 1, 2, 3, 4}
	}
	j := newJob(ladder, &Request{}, columns{labels: []int32{7}, of: []int{0}}, prompts, nil, 0)
	j.device = d
	return j
}

// TestLine: a device counts its own jobs and those of no device, up to enough tokens;
// jobs leave when their rows are taken.
func TestLine(t *testing.T) {
	mine, others := &device{}, &device{index: 1}
	a, b, c, last := jobOf(t, nil, 2), jobOf(t, others, 3), jobOf(t, mine, 4), jobOf(t, mine, 5)
	var l line
	for _, j := range []*job{a, b, c, last} {
		l.add(j)
	}
	if rows, own := l.workFor(mine, 1000); rows != 11 || own != 55 {
		t.Errorf("%d rows and %d tokens wait, want 11 and 55 without the other device's", rows, own)
	}
	if rows, own := l.workFor(mine, 30); rows != 6 || own != 30 {
		t.Errorf("%d rows and %d tokens wait, want the count to end with 6 and 30", rows, own)
	}
	if rows, tokens := l.waiting(); rows != 14 || tokens != 70 {
		t.Errorf("%d rows and %d tokens wait in all, want 14 and 70", rows, tokens)
	}
	l.remove(b)
	l.remove(b) // is not there any more
	for _, g := range a.Groups {
		g.Next = len(g.Rows)
	}
	l.removeTaken()
	if !slices.Equal(l, line{c, last}) {
		t.Errorf("%d jobs are left, want the two with waiting rows, in order", len(l))
	}
}

// TestAdmission: rows are counted from the admission to the release, and a request that
// has no room changes nothing.
func TestAdmission(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{MaxQueue: 5, MaxTokens: 20})
	req := tokenRequest(nil, ids(1, 4), ids(2, 4), ids(3, 4))
	c := columns{labels: []int32{7}}
	first, err := s.queue.admit(req, &c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.queue.admit(req, &c)
	wantKind(t, err, Overloaded)
	if rows := s.queue.admission.rows; rows != 3 {
		t.Errorf("%d rows are admitted, want those of the first request", rows)
	}
	for _, n := range []int{15, 5} {
		if err := first.reserve(n); err != nil {
			t.Error(err)
		}
	}
	wantKind(t, first.reserve(1), TooLarge)
	first.release()
	if rows, tokens := s.queue.admission.rows, s.queue.admission.tokens.Load(); rows != 0 || tokens != 0 {
		t.Errorf("%d rows and %d tokens are held after the release", rows, tokens)
	}
}
