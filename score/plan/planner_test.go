package plan

import (
	"testing"
	"time"
)

// TestLeftoverRate: rows that stay behind are not rated by a bucket too short for them,
// however cheap it is.
func TestLeftoverRate(t *testing.T) {
	short := &filling{bucket: Bucket{Length: 8, Cost: 100}, useful: 200}
	long := &filling{bucket: Bucket{Length: 32, Cost: 100}, useful: 100}
	dear := &filling{bucket: Bucket{Length: 32, Cost: 300}, useful: 150}
	for _, c := range []struct {
		longest int
		want    float64
	}{
		{8, 0.5},
		{9, 1},
		{32, 1},
		{33, 1}, // none holds it: the longest there are
	} {
		if got, _ := leftoverRate([]*filling{short, dear, long}, c.longest); got != c.want {
			t.Errorf("rows of up to %d tokens: %v a token, want %v", c.longest, got, c.want)
		}
	}
}

// TestLeast: what is left costs at least the cheapest steps that have room for it.
func TestLeast(t *testing.T) {
	l := ladder(t, 64, Bucket{Tokens: 64, Rows: 8, Length: 64, Cost: 10}, Bucket{Tokens: 256, Rows: 8, Length: 64, Cost: 25})
	size := l.sizeFor(0)
	for tokens, want := range map[int]float64{0: 0, 1: 10, 64: 10, 65: 20, 129: 25, 256: 25, 257: 35, 1024: 100, 10_240: 1000} {
		if got := size.least(tokens, 0); got != want {
			t.Errorf("%d tokens cost %v, want %v", tokens, got, want)
		}
	}
}

func ladder(t *testing.T, contextLength int, buckets ...Bucket) *Ladder {
	t.Helper()
	l, err := NewLadder(buckets, contextLength)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// prompts makes a job of prompts.
func (l *Ladder) prompts(all [][]int32) *Job {
	return l.NewJob(Prompts{Tokens: all, Labels: []int32{1}})
}

// sharing makes prompts of a query and items of so many tokens; another seed is another
// query.
func sharing(seed int32, query int, items ...int) (prompts [][]int32) {
	for i, n := range items {
		prompt := make([]int32, query+n)
		for k := range prompt {
			prompt[k] = seed + int32(k)
			if k >= query {
				prompt[k] = int32(1000*(i+1) + k)
			}
		}
		prompts = append(prompts, prompt)
	}
	return prompts
}

// TestStepTakesSeveralPrefixes: small requests with queries of their own go into one
// step, each on its own prefix.
func TestStepTakesSeveralPrefixes(t *testing.T) {
	var buckets []Bucket
	for _, tokens := range []int{64, 256, 512} {
		for _, context := range []int{0, 64} {
			buckets = append(buckets, Bucket{Tokens: tokens, Rows: 16, Length: tokens, Context: context, Cost: 1000 + time.Duration(tokens)})
		}
	}
	l := ladder(t, 64, buckets...)
	p := NewPlanner(l, NewTable(4, 0))
	f := p.Next([]*Job{l.prompts(sharing(1, 30, 5, 6, 7, 8)), l.prompts(sharing(500, 30, 5, 6, 7, 8))})
	if len(f.Step.Rows) != 8 || len(f.Step.Prefixes) != 2 || f.Step.Computed() != 2*(30+26) {
		t.Errorf("a step of %d rows on %d prefixes computes %d tokens, want 8 on 2 with 112", len(f.Step.Rows), len(f.Step.Prefixes), f.Step.Computed())
	}
	if err := f.Step.Check(4); err != nil {
		t.Error(err)
	}
}

// TestFullerStepGoesFirst: 13 rows of 300 tokens take two steps of five rows and one of
// three, in any order at the same cost. The one of three goes last: in front, it would
// leave ten, and with three more would be in front again.
func TestFullerStepGoesFirst(t *testing.T) {
	var buckets []Bucket
	for tokens, cost := range map[int]time.Duration{512: 5399, 1024: 5627, 1536: 5856, 2048: 7245} { // about an H100's, in µs
		buckets = append(buckets, Bucket{Tokens: tokens, Rows: tokens / 4, Length: tokens, Cost: cost * time.Microsecond})
	}
	l := ladder(t, 512, buckets...)
	p := NewPlanner(l, NewTable(4, 0))
	var jobs []*Job
	for i := range int32(13) {
		jobs = append(jobs, l.prompts([][]int32{tokensFrom(1000*i, 300)}))
	}
	if n := len(p.Next(jobs).Step.Rows); n != 5 {
		t.Errorf("the first step takes %d rows, want 5", n)
	}
}

// TestLeftLongRows: rows that stay behind take steps that have room for rows as long, not
// the cheaper ones for short rows that have as many tokens. 13 rows of 300 tokens take
// two steps of six and one of one; with three taken first, ten are left, which need two
// more steps of 2,048 tokens.
func TestLeftLongRows(t *testing.T) {
	var buckets []Bucket
	for _, b := range []Bucket{{Tokens: 512, Rows: 1, Length: 512, Cost: 8472}, {Tokens: 1024, Rows: 3, Length: 512, Cost: 9146},
		{Tokens: 2048, Rows: 6, Length: 512, Cost: 11116}, {Tokens: 512, Rows: 32, Length: 32, Cost: 8265},
		{Tokens: 2048, Rows: 128, Length: 32, Cost: 8420}} { // about an H100's with native attention, in µs
		b.Cost *= time.Microsecond
		buckets = append(buckets, b)
	}
	l := ladder(t, 512, buckets...)
	for rows, want := range map[int]int{3: 3, 6: 6, 12: 6, 13: 6, 16: 6} {
		var jobs []*Job
		for i := range rows {
			jobs = append(jobs, l.prompts([][]int32{tokensFrom(int32(1000*i), 300)}))
		}
		if n := len(NewPlanner(l, NewTable(4, 0)).Next(jobs).Step.Rows); n != want {
			t.Errorf("of %d rows the first step takes %d, want %d", rows, n, want)
		}
	}
}

// tokensFrom are n tokens in ascending order.
func tokensFrom(first int32, n int) (tokens []int32) {
	for i := range int32(n) {
		tokens = append(tokens, first+i)
	}
	return tokens
}

// TestPrefixGoesOn: tokens that a kept prefix lacks are computed once for all rows, not
// by each, unless they are very few.
func TestPrefixGoesOn(t *testing.T) {
	for missing, added := range map[int]int{0: 0, 10: 0, 21: 0, 22: 22, 70: 70} {
		l := ladder(t, 512, Bucket{Tokens: 512, Rows: 16, Length: 512, Context: 512, Cost: 1})
		p := NewPlanner(l, NewTable(4, 0))
		prompts := sharing(1, 300, 5, 6, 7, 8)
		p.table.put("", prompts[0][:300-missing])
		step := p.Next([]*Job{l.prompts(prompts)}).Step
		prefix := step.Prefixes[0]
		if len(prefix.New) != added || len(prefix.Slots) != 300-missing+added || len(step.Rows) != 4 {
			t.Errorf("%d tokens missing: %d rows on %d tokens with %d new, want 4 on %d with %d",
				missing, len(step.Rows), len(prefix.Slots), len(prefix.New), 300-missing+added, added)
		}
	}
}

// TestSaltsKeepPrefixesApart: the same tokens under another salt are computed anew, and
// have slots of their own.
func TestSaltsKeepPrefixesApart(t *testing.T) {
	l := ladder(t, 512, Bucket{Tokens: 512, Rows: 16, Length: 512, Context: 512, Cost: 1})
	p := NewPlanner(l, NewTable(8, 0))
	for i, c := range []struct {
		salt string
		want int
	}{{"", 300}, {"a", 300}, {"a", 0}, {"", 0}, {"b", 300}} {
		job := l.NewJob(Prompts{Tokens: sharing(1, 300, 5, 6), Labels: []int32{1}, Salt: c.salt})
		if n := len(p.Next([]*Job{job}).Step.Prefixes[0].New); n != c.want {
			t.Errorf("request %d of salt %q computes %d tokens of its prefix, want %d", i, c.salt, n, c.want)
		}
	}
}

// TestLadderRefusesPromptsItCannotHold: what stands alone runs in any bucket that is long
// enough.
func TestLadderRefusesPromptsItCannotHold(t *testing.T) {
	short, long := Bucket{Tokens: 32, Rows: 1, Length: 32, Cost: 1}, Bucket{Tokens: 1024, Rows: 1, Length: 512, Context: 128, Cost: 2}
	if _, err := NewLadder([]Bucket{short, long}, 1024); err == nil {
		t.Error("prompts of 1,023 tokens are taken, for which there is no bucket")
	}
	if _, err := NewLadder([]Bucket{short, long}, 512); err != nil {
		t.Error(err)
	}
}

// TestNoHoldWithoutPlace: a prefix that finds no room in the cache for its first slice
// keeps nothing set aside: its job may end, or run elsewhere, without this planner being
// told.
func TestNoHoldWithoutPlace(t *testing.T) {
	l := ladder(t, 1024, Bucket{Tokens: 512, Rows: 16, Length: 512, Context: 1024, Cost: 1})
	table := NewTable(8, 0)
	p := NewPlanner(l, table)
	for i := range 4 { // all the pages are used by this step
		if slots, _ := table.put("", tokensFrom(int32(1000*i), 200)); slots == nil {
			t.Fatal("no room for a prefix of two pages")
		}
	}
	step := &Step{Bucket: l.buckets[0]}
	group := l.prompts(sharing(9000, 700, 5, 6)).Groups[0]
	c := &candidate{group: group, prefix: group.sharedPrefix()}
	if at, _ := p.prefix(step, c, &placement{shared: 400, fresh: 400}); at != -1 || table.reserved != 0 || len(table.holds) != 0 {
		t.Errorf("place %d of a prefix, %d pages set aside, want -1 and none", at, table.reserved)
	}
}
