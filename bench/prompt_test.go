package bench

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWork wants the GFLOP per item that the workloads' shapes give with the query
// computed once.
func TestWork(t *testing.T) {
	for name, want := range map[string]float64{"w1": 274.6, "w2": 178.0, "w3": 31.3} {
		mix, err := ParseMix(name)
		if err != nil {
			t.Fatal(err)
		}
		w := mix[0].Workload
		if got := w.work((w.Items-1)*w.QueryTokens) / float64(w.Items) / 1e9; math.Abs(got-want) > 0.05 {
			t.Errorf("%s: %v GFLOP per item, want %v", name, got, want)
		}
	}
	w := Workload{QueryTokens: 2, ItemTokens: 1, Items: 2}
	for cached, pairs := range map[int]float64{0: 12, 1: 11, 2: 9, 3: 8, 4: 6} { // 1+2+3 a row, less 1+2 for a cached query
		if got := w.work(cached) - float64(6-cached)*flopPerToken; math.Abs(got-pairs*flopPerPair) > 1 {
			t.Errorf("%d cached tokens leave %v pairs, want %v", cached, got/flopPerPair, pairs)
		}
	}
}

func TestParseMix(t *testing.T) {
	mix, err := ParseMix(DefaultMix)
	if err != nil || len(mix) != 4 || mix[0].Name != "w1" || mix[0].Weight != 8 || mix[2].Items != 500 || mix[2].Weight != 1 {
		t.Errorf("mix is %+v with error %v", mix, err)
	}
	for text, want := range map[string]string{"w9": `"w9" is unknown`, "": `"" is unknown`, "w1=0": `weight "0"`, "w1=x": `weight "x"`, "w1,,w2": "unknown"} {
		if _, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %s", text, err, want)
		}
	}
}

// TestPick: workloads come as often as their weights say.
func TestPick(t *testing.T) {
	mix := []Share{{Weight: 8}, {Weight: 1}, {Weight: 3}}
	a := &author{random: rand.New(rand.NewPCG(1, 1))}
	counts := make([]int, 3)
	for range 12_000 {
		counts[a.pick(mix)]++
	}
	for i, want := range []int{8000, 1000, 3000} {
		if math.Abs(float64(counts[i]-want)) > 200 {
			t.Errorf("counts are %v, want about 8000, 1000 and 3000", counts)
		}
	}
}

// TestQueries: in a cold run every query and item is new, in a warm one queries come from
// the pool; the seed decides all.
func TestQueries(t *testing.T) {
	run := func(warm bool, seed uint64) (queries, items map[string]int, all string) {
		queries, items = map[string]int{}, map[string]int{}
		synctest.Test(t, func(t *testing.T) {
			server := &fakeServer{latency: after(time.Second)}
			c := against(t, server, "w2")
			c.Warm, c.Seed, c.Warmup, c.Duration = warm, seed, 5*time.Second, 15*time.Second
			mustRun(t, c)
			for _, r := range server.requests[1:] {
				queries[r.Query.(string)]++
				all += r.Query.(string)
				for _, item := range r.Items {
					items[item.(string)]++
					all += item.(string)
				}
			}
		})
		return queries, items, all
	}
	queries, items, cold := run(false, 1)
	if len(queries) != 20 || len(items) != 200 {
		t.Errorf("cold: %d queries and %d items are distinct in 20 requests, want 20 and 200", len(queries), len(items))
	}
	if queries, items, _ := run(true, 1); len(queries) != 4 || len(items) != 200 {
		t.Errorf("warm: %d queries and %d items are distinct in 20 requests, want 4 and 200", len(queries), len(items))
	}
	if _, _, again := run(false, 1); again != cold {
		t.Error("the same seed writes other prompts")
	}
	if _, _, other := run(false, 2); other == cold {
		t.Error("another seed writes the same prompts")
	}
}

// TestCalibration: the server counts two tokens a word, so half as many words are sent
// and its own counts are reported.
func TestCalibration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := against(t, &fakeServer{latency: after(time.Second), answer: wordUsage}, "w2")
		report := mustRun(t, c)
		if !report.UsageTold || report.PromptTokensPerSecond != 3000 || report.ComputedTokensPerSecond != 3000 {
			t.Errorf("%v prompt and %v computed tokens/s; want 10 items of 300, none cached", report.PromptTokensPerSecond, report.ComputedTokensPerSecond)
		}
	})
}

func TestTokenIDs(t *testing.T) {
	w := Workload{QueryTokens: 7, ItemTokens: 3, Items: 2}
	random := &author{random: rand.New(rand.NewPCG(1, 1)), ids: true, vocab: 50}
	p := random.write(w)
	query, distinct := p.query.([]int), map[int]bool{}
	for _, id := range query {
		distinct[id] = true
		if id < 0 || id >= 50 {
			t.Errorf("id %d is not below 50", id)
		}
	}
	if len(query) != 7 || len(distinct) < 3 || len(p.items) != 2 || len(p.items[1].([]int)) != 3 {
		t.Errorf("prompt is %+v, want 7 and twice 3 random ids", p)
	}
	repeated := &author{ids: true, same: true}
	for _, id := range repeated.write(w).query.([]int) {
		if id != 100 {
			t.Errorf("repeated token is %d, want 100", id)
		}
	}
}

// TestOneForm: a request is of text or of ids throughout, from the first one on, and an
// empty query is a list then too.
func TestOneForm(t *testing.T) {
	for _, ids := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			server := &fakeServer{latency: after(time.Second)}
			c := against(t, server, "w1,w2")
			c.TokenIDs, c.Verify = ids, true
			mustRun(t, c)
			for i, r := range server.requests {
				_, query := r.Query.([]any)
				_, item := r.Items[0].([]any)
				if query != ids || item != ids {
					t.Errorf("request %d is not of one form: query %T, item %T", i, r.Query, r.Items[0])
				}
			}
		})
	}
}

// TestCommonTokens: the queries of all clients begin with the same tokens, as many as the
// workload says, and then differ.
func TestCommonTokens(t *testing.T) {
	w := Workload{QueryTokens: 120, Common: 90, ItemTokens: 5, Items: 1}
	one, other := &author{random: rand.New(rand.NewPCG(1, 1)), ids: true, vocab: 1000}, &author{random: rand.New(rand.NewPCG(2, 2)), ids: true, vocab: 1000}
	a, b := one.query(w).([]int), other.query(w).([]int)
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	if len(a) != 120 || len(b) != 120 || same < 90 || same > 92 {
		t.Errorf("queries of %d and %d tokens share %d, want 120, 120 and 90", len(a), len(b), same)
	}
	one.ids, one.lexicon, one.unitsPerToken = false, newLexicon(wordList), 1
	if text := one.query(w).(string); len(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '.' })) < 100 {
		t.Errorf("query %q has not the words of 120 tokens", text)
	}
}
