package score

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/scoretest"
)

// TestRepeatedLabels: each distinct label is asked for once, and each of the request's
// labels gets its number.
func TestRepeatedLabels(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	req := tokenRequest(ids(1, 20), ids(2, 5), ids(3, 5))
	req.Labels = nil
	for i := range 5000 {
		req.Labels = append(req.Labels, Label{ID: int64(i * i % 40)})
	}
	result, err := s.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	wantScores(t, req, result)
	for _, step := range engine.Steps() {
		for _, row := range step.Rows {
			asked := slices.Clone(row.Labels)
			slices.Sort(asked)
			if len(slices.Compact(asked)) != len(row.Labels) || len(row.Labels) > 40 {
				t.Fatalf("a row asks for labels %v", row.Labels)
			}
		}
	}
}

// TestManyLabelsFillSteps: rows of many labels take the room of several rows, so that no
// step reads many more labels than it has rows for.
func TestManyLabelsFillSteps(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	var items [][]int64
	for i := range 40 {
		items = append(items, ids(i, 4))
	}
	req := tokenRequest(ids(1, 20), items...)
	req.Labels = nil
	for i := range 100 {
		req.Labels = append(req.Labels, Label{ID: int64(i)})
	}
	result, err := s.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	wantScores(t, req, result)
	for _, step := range engine.Steps() {
		labels := 0
		for _, row := range step.Rows {
			labels += len(row.Labels)
		}
		if most := max(100, step.Bucket.Rows*LabelsPerRow); labels > most {
			t.Errorf("a step of %d rows reads %d labels, %d at most", step.Bucket.Rows, labels, most)
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{MaxLabels: 10, MaxScores: 100, MaxQueue: 50})
	labels := func(n, distinct int) (all []Label) {
		for i := range n {
			all = append(all, Label{ID: int64(i % distinct)})
		}
		return all
	}
	one := tokenRequest(nil, ids(1, 5))
	for _, c := range []struct {
		items, labels, distinct int
		logprobs                bool
		kind                    Kind
		param                   string
	}{
		{1, 100, 10, false, Internal, ""},
		{1, 11, 11, false, Invalid, "label_token_ids"},
		{1, 101, 2, false, TooLarge, "label_token_ids"},
		{2, 30, 2, true, TooLarge, "label_token_ids"},
		{51, 1, 1, false, TooLarge, "items"},
	} {
		req := *one
		req.Items, req.Labels, req.Logprobs = slices.Repeat(one.Items, c.items), labels(c.labels, c.distinct), c.logprobs
		_, err := s.Score(t.Context(), &req)
		if c.param == "" {
			if err != nil {
				t.Errorf("%+v: error %v", c, err)
			}
			continue
		}
		wantKind(t, err, c.kind)
		var failure *Error
		if !errors.As(err, &failure) || failure.Param != c.param {
			t.Errorf("%+v: error %v, want it to name %s", c, err, c.param)
		}
	}
	many := newTestScorer(t, &scoretest.Fake{}, Config{MaxQueue: 50})
	req := *one
	req.Items, req.Labels = slices.Repeat(one.Items, 20), labels(48, 48)
	_, err := many.Score(t.Context(), &req)
	wantKind(t, err, TooLarge) // 60 rows
}

// TestShortQueryBesideALongerPrefix: once a longer prompt with the same beginning has
// been scored, a short query is not attended to in the longer one's shape, which costs
// more.
func TestShortQueryBesideALongerPrefix(t *testing.T) {
	buckets := []Bucket{{Tokens: 128, Rows: 4, Length: 64, Context: 128, Cost: 10}, {Tokens: 128, Rows: 4, Length: 64, Context: 4096, Cost: 200}}
	engine := &scoretest.Fake{Shapes: buckets, CacheSize: 100}
	s := newTestScorer(t, engine, Config{ContextLength: 4096})
	long := ids(1, 2200)
	ask := func(query []int64, seed int) {
		t.Helper()
		req := tokenRequest(query, ids(seed, 3), ids(seed+1, 3))
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantScores(t, req, result)
	}
	ask(long, 1)
	before := len(engine.Steps())
	for i := range 4 {
		ask(long[:70], 10+i)
		ask(long, 20+i) // so that the long prefix is the one used last
	}
	small, computed := 0, 0
	for _, step := range engine.Steps()[before:] {
		if step.Bucket.Context == 128 {
			small++
			computed += step.Computed() - len(step.Rows)*3
		}
	}
	if small != 4 || computed != 0 {
		t.Errorf("%d of 4 short queries ran in the small shape and computed %d prefix tokens, want 4 and none", small, computed)
	}
	if n := len(engine.Steps()) - before; n != 8 {
		t.Errorf("%d steps for 8 requests, want 8: the long prefix stays", n)
	}
}

// TestGate: work goes through in the order of its coming, never more than the size
// together, and none that has left.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(10)
		ctx, cancel := context.WithCancel(t.Context())
		entered := make(chan int, 10)
		var through []int
		enter := func(ctx context.Context, weight int) {
			go func() {
				if g.enter(ctx, weight) == nil {
					entered <- weight
				}
			}()
			synctest.Wait()
			for len(entered) > 0 {
				through = append(through, <-entered)
			}
		}
		enter(t.Context(), 6)
		enter(t.Context(), 5) // waits
		enter(ctx, 7)         // waits behind it
		enter(t.Context(), 4) // would have room, and waits its turn
		if !slices.Equal(through, []int{6}) {
			t.Fatalf("%v are through, want 6 alone", through)
		}
		cancel()
		g.leave(6)
		synctest.Wait()
		for len(entered) > 0 {
			through = append(through, <-entered)
		}
		if len(through) != 3 || g.inside != 9 || len(g.waiting) != 0 {
			t.Errorf("%v are through, %d inside, %d wait", through, g.inside, len(g.waiting))
		}
		g.leave(5)
		g.leave(4)
		enter(t.Context(), 1000) // heavier than the gate: alone
		enter(t.Context(), 1)
		if g.inside != 10 || len(g.waiting) != 1 {
			t.Errorf("%d inside, %d wait; want the heavy one alone", g.inside, len(g.waiting))
		}
		g.leave(1000)
		synctest.Wait()
		g.leave(1)
		if g.inside != 0 {
			t.Errorf("%d are inside in the end", g.inside)
		}
	})
}

// TestEncodingKnowsItsDeadline: between two pieces of a text the context is asked.
func TestEncodingKnowsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowEncoder{}
		s, err := New(Config{Vocab: 1000, ContextLength: 1 << 20}, slow, &scoretest.Fake{Shapes: []Bucket{{Tokens: 1 << 20, Rows: 1, Length: 1 << 20, Cost: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		text := make([]byte, 10*pieceBytes)
		for i := range text {
			text[i] = "word "[i%5]
		}
		req := &Request{Items: []Part{{Text: string(text)}}, Labels: []Label{{ID: 1}}}
		_, err = s.Score(ctx, req)
		wantKind(t, err, Deadline)
		if slow.calls != 3 {
			t.Errorf("%d pieces were tokenized in two and a half seconds, want 3 of a second each", slow.calls)
		}
	})
}

// slowEncoder takes a second for a piece.
type slowEncoder struct {
	wordEncoder
	calls int
}

func (e *slowEncoder) Encode(string, bool) ([]int32, error) {
	e.calls++
	time.Sleep(time.Second)
	return []int32{1}, nil
}
