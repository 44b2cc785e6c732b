package plan_test

import (
	"testing"
	"time"

	"scored/score/plan"
)

// TestBacklogPrices: right prices, by hand, of rows that one bucket takes best.
func TestBacklogPrices(t *testing.T) {
	buckets := []plan.Bucket{
		{Tokens: 64, Rows: 4, Length: 64, Cost: 1000}, {Tokens: 256, Rows: 8, Length: 64, Context: 512, Cost: 8000, Key: 2},
	}
	l, err := plan.NewLadder(buckets, 64)
	if err != nil {
		t.Fatal(err)
	}
	prompts := func(n, query, own int) (all [][]int32) {
		for i := range n {
			prompt := make([]int32, query+own)
			prompt[query] = int32(i)
			all = append(all, prompt)
		}
		return all
	}
	for _, c := range []struct {
		name              string
		items, query      int
		own, labels       int
		missing           int
		waiting, byItself time.Duration
	}{
		{"a row takes half the tokens", 1, 0, 32, 1, 0, 500, 1000},
		{"ten rows of 30 tokens, two in a step", 10, 0, 30, 1, 0, 5000, 5000},
		{"ten short rows, four in a step", 10, 0, 2, 1, 0, 2500, 3000},
		{"rows of 32 labels count twice", 10, 0, 2, 32, 0, 5000, 5000},
		{"rows on a prefix that is there", 16, 100, 10, 1, 0, 2*8000 + 2*100*2, 2*8000 + 2*100*2},
		{"and that is not", 16, 100, 10, 1, 64, 2.25*8000 + 2*100*3, 3*8000 + 2*100*3},
		{"a prefix leaves room for others", 4, 256, 16, 1, 0, 4000 + 2*256, 8000 + 2*256},
	} {
		labels := make([]int32, c.labels)
		job := l.NewJob(plan.Prompts{Tokens: prompts(c.items, c.query, c.own), Labels: labels, Reusable: c.query})
		g := job.Groups[0]
		if g.Shared != c.query {
			t.Fatalf("%s: %d tokens are shared", c.name, g.Shared)
		}
		b := plan.NewBacklog(l)
		b.Add(g, c.missing)
		if got := b.Cost(); got != c.waiting {
			t.Errorf("%s: %d, want %d", c.name, got, c.waiting)
		}
		if got := b.Alone(g, c.missing); got != c.byItself {
			t.Errorf("%s: %d alone, want %d", c.name, got, c.byItself)
		}
		g.Uncount()
		if g.Uncount(); b.Cost() != 0 {
			t.Errorf("%s: %d is left of nothing", c.name, b.Cost())
		}
	}
}

// TestBacklogCountsAPrefixOnce: who waits on the same prefix pays for its rows alone,
// wherever they are counted.
func TestBacklogCountsAPrefixOnce(t *testing.T) {
	l, err := plan.NewLadder([]plan.Bucket{{Tokens: 100, Rows: 100, Length: 100, Context: 1000, Cost: 1000}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	group := func(item int32) *plan.Group {
		prompts := [][]int32{make([]int32, 90), make([]int32, 90)}
		prompts[0][85], prompts[1][85] = item, item+1
		return l.NewJob(plan.Prompts{Tokens: prompts, Labels: []int32{1}}).Groups[0]
	}
	first, second, any, one := group(1), group(3), plan.NewBacklog(l), plan.NewBacklog(l)
	want := func(b *plan.Backlog, cost time.Duration) {
		t.Helper()
		if b.Cost() != cost {
			t.Errorf("%d, want %d", b.Cost(), cost)
		}
	}
	any.Add(first, 80)
	rows := any.Cost() - 800
	if !any.Waits(second) {
		t.Fatal("nobody waits on the prefix")
	}
	any.Add(second, 80)
	want(any, 800+2*rows)
	one.TakeAll(first, any)
	want(any, 0)
	want(one, 800+2*rows)
	one.Update(first, 0)
	want(one, 2*rows)
	any.Take(second)
	want(any, rows)
	want(one, rows)
}
