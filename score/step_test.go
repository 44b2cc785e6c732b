package score

import (
	"testing"
	"time"
)

// TestLeftoverRate: rows that stay behind are not rated by a bucket too short for them, however cheap it is.
func TestLeftoverRate(t *testing.T) {
	short := filled{bucket: Bucket{Length: 8, Cost: 100}, tokens: 200}
	long := filled{bucket: Bucket{Length: 32, Cost: 100}, tokens: 100}
	dear := filled{bucket: Bucket{Length: 32, Cost: 300}, tokens: 150}
	for _, c := range []struct {
		longest int
		want    float64
	}{
		{8, 0.5},
		{9, 1},
		{32, 1},
		{33, 1}, // none holds it: the longest there are
	} {
		if got, _ := leftoverRate([]filled{short, dear, long}, c.longest); got != c.want {
			t.Errorf("rows of up to %d tokens: %v a token, want %v", c.longest, got, c.want)
		}
	}
}

// TestLeast: what is left costs at least the cheapest steps that have room for it.
func TestLeast(t *testing.T) {
	p, err := newPlanner([]Bucket{{Tokens: 64, Rows: 8, Length: 64, Cost: 10}, {Tokens: 256, Rows: 8, Length: 64, Cost: 25}}, 64)
	if err != nil {
		t.Fatal(err)
	}
	size := p.sizeFor(0)
	for tokens, want := range map[int]float64{0: 0, 1: 10, 64: 10, 65: 20, 129: 25, 256: 25, 257: 35, 1024: 100, 10_240: 1000} {
		if got := size.least(tokens); got != want {
			t.Errorf("%d tokens cost %v, want %v", tokens, got, want)
		}
	}
}

// sharing makes prompts of a query and items of so many tokens; another seed is another query.
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

// TestStepIsFilledByCost: small requests with queries of their own go into one step where a step costs much and a token
// little, as on an accelerator, each row with its query, and into steps of their own where tokens cost.
func TestStepIsFilledByCost(t *testing.T) {
	for name, c := range map[string]struct {
		fixed time.Duration
		rows  int
	}{"dear steps": {1000, 8}, "dear tokens": {1, 4}} {
		var buckets []Bucket
		for _, tokens := range []int{64, 256, 512} {
			for _, prefix := range []int{0, 64} {
				buckets = append(buckets, Bucket{Tokens: tokens, Rows: 16, Length: tokens, Prefix: prefix, Cost: c.fixed + time.Duration(tokens)})
			}
		}
		p, err := newPlanner(buckets, 64)
		if err != nil {
			t.Fatal(err)
		}
		jobs := []*job{p.plan(&Request{}, columns{}, sharing(1, 30, 5, 6, 7, 8), nil, 0), p.plan(&Request{}, columns{}, sharing(500, 30, 5, 6, 7, 8), nil, 0)}
		step := p.form(jobs, &strictEngine{buckets: buckets, limit: 1}).step
		if len(step.Rows) != c.rows || step.New != 30 {
			t.Errorf("%s: a step of %d rows with %d new tokens of the prefix, want %d and 30", name, len(step.Rows), step.New, c.rows)
		}
	}
}

// TestPrefixGoesOn: tokens that a kept prefix lacks are computed once for all rows, not by each, unless they are very few.
func TestPrefixGoesOn(t *testing.T) {
	buckets := []Bucket{{Tokens: 512, Rows: 16, Length: 512, Prefix: 512, Cost: 1}}
	p, err := newPlanner(buckets, 512)
	if err != nil {
		t.Fatal(err)
	}
	for missing, added := range map[int]int{0: 0, 10: 0, 21: 0, 22: 22, 70: 70} {
		prompts := sharing(1, 300, 5, 6, 7, 8)
		kept := &Prefix{Tokens: prompts[0][:300-missing], Size: 512}
		step := p.form([]*job{p.plan(&Request{}, columns{}, prompts, nil, 0)}, &strictEngine{buckets: buckets, limit: 1, kept: []*Prefix{kept}}).step
		if step.New != added || step.Kept != 300-missing || len(step.Rows) != 4 {
			t.Errorf("%d tokens missing: %d rows go on from %d with %d new, want 4 from %d with %d", missing, len(step.Rows), step.Kept, step.New, 300-missing, added)
		}
	}
}

// TestSlicesGoOnBesideALongerPrefix: a prefix computed in slices is finished although a kept one shares more of it, in
// buckets too short for its rows.
func TestSlicesGoOnBesideALongerPrefix(t *testing.T) {
	buckets := []Bucket{{Tokens: 64, Rows: 4, Length: 64, Prefix: 128, Cost: 1}, {Tokens: 32, Rows: 4, Length: 32, Prefix: 512, Cost: 2}}
	p, err := newPlanner(buckets, 512)
	if err != nil {
		t.Fatal(err)
	}
	prompts := sharing(1, 100, 50, 50)
	engine := &strictEngine{buckets: buckets, limit: 8, kept: []*Prefix{{Tokens: sharing(1, 300, 1)[0], Size: 512}}}
	j := p.plan(&Request{}, columns{}, prompts, nil, 0)
	for steps := 1; ; steps++ {
		step := p.form([]*job{j}, engine).step
		if _, err := engine.Run(step); err != nil {
			t.Fatal(err)
		}
		if len(step.Rows) > 0 {
			break
		}
		if steps == 3 {
			t.Fatalf("no row after %d steps", steps)
		}
	}
}

// TestPlannerRefusesPromptsItCannotHold: what stands alone runs in the buckets without a prefix, however long rows may be in others.
func TestPlannerRefusesPromptsItCannotHold(t *testing.T) {
	short, long := Bucket{Tokens: 32, Rows: 1, Length: 32, Cost: 1}, Bucket{Tokens: 1024, Rows: 1, Length: 1024, Prefix: 128, Cost: 2}
	if _, err := newPlanner([]Bucket{short, long}, 1024); err == nil {
		t.Error("prompts of 1,023 tokens are taken, for which there is no bucket")
	}
	if _, err := newPlanner([]Bucket{short, long}, 129); err != nil {
		t.Error(err)
	}
}
