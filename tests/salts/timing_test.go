package salts

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkTiming measures whether the time of an answer tells a client of prompts that
// another client has sent. In each round a victim scores a secret of 512 tokens with a
// salt. Then three probes are timed, in random order: the secret with the victim's salt,
// the secret with another salt, and 512 tokens that nobody has sent with that other salt.
//
// It compares each of the first two probes with the third. auc is the share of pairs in
// which the right guess is answered sooner; it is 0.5 if the time tells nothing. z is the
// rank-sum test's distance from 0.5 in standard deviations; within 3 either way there is
// no visible difference. On a machine that is busy with other work all probes look alike.
//
//	go test -run - -bench Timing -benchtime 500x ./tests/salts
//
// SCORED_SALTS_URL=http://host:port asks a running server, which needs a context of 600
// tokens; SCORED_SALTS_KEY is its key.
func BenchmarkTiming(b *testing.B) {
	s := server{TB: b, address: strings.TrimPrefix(os.Getenv("SCORED_SALTS_URL"), "http://")}
	if s.address == "" {
		s = launch(b)
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var took [3][]float64 // the victim's salt, another salt, and tokens that nobody has sent
	for b.Loop() {
		secret, unsent := tokens(random), tokens(random)
		s.score(secret, 1, "victim")
		probes := [3]func(){
			func() { s.score(secret, 2, "victim") },
			func() { s.score(secret, 3, "other") },
			func() { s.score(unsent, 3, "other") },
		}
		for _, i := range random.Perm(len(probes)) {
			begin := time.Now()
			probes[i]()
			took[i] = append(took[i], time.Since(begin).Seconds())
		}
	}
	for i, name := range []string{"same-salt", "other-salt"} {
		auc, z := rankSum(took[i], took[2])
		b.ReportMetric(auc, name+"-auc")
		b.ReportMetric(z, name+"-z")
	}
}

func tokens(random *rand.Rand) []int {
	all := make([]int, 512)
	for i := range all {
		all[i] = random.IntN(100_000)
	}
	return all
}

func (s server) score(query []int, item int, salt string) {
	s.Helper()
	body := fields{"model": "m", "query": query, "items": [][]int{{item}}, "label_token_ids": []int{9454, 2753}, "cache_salt": salt}
	if status, text := s.send("/v1/score", os.Getenv("SCORED_SALTS_KEY"), body); status != http.StatusOK {
		s.Fatalf("status %d: %s", status, text)
	}
}

// rankSum is the Mann-Whitney test of two samples. It returns the share of pairs in which
// a's value is the smaller, a tie counting half, and its distance from 1/2 in standard
// deviations of two samples of one distribution without ties. Source:
// https://doi.org/10.1214/aoms/1177730491.
func rankSum(a, b []float64) (auc, z float64) {
	type sample struct {
		value float64
		of    int
	}
	var all []sample
	for _, v := range a {
		all = append(all, sample{v, 0})
	}
	for _, v := range b {
		all = append(all, sample{v, 1})
	}
	slices.SortFunc(all, func(x, y sample) int { return cmp.Compare(x.value, y.value) })
	smaller, before := 0.0, 0.0 // pairs, and those of a before the samples at hand
	for i := 0; i < len(all); {
		end, counts := i, [2]float64{}
		for ; end < len(all) && all[end].value == all[i].value; end++ {
			counts[all[end].of]++
		}
		smaller += counts[1] * (before + counts[0]/2)
		before += counts[0]
		i = end
	}
	n, m := float64(len(a)), float64(len(b))
	return smaller / (n * m), (smaller - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
}

func TestRankSum(t *testing.T) {
	for _, c := range []struct {
		a, b   []float64
		auc, z float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 1, 4.5 / math.Sqrt(5.25)},
		{[]float64{4, 5, 6}, []float64{1, 2, 3}, 0, -4.5 / math.Sqrt(5.25)},
		{[]float64{1, 4}, []float64{2, 3}, 0.5, 0},
		{[]float64{1, 1}, []float64{1, 1}, 0.5, 0},
		{[]float64{1, 2}, []float64{2, 3, 3}, 5.5 / 6, 2.5 / math.Sqrt(3)},
	} {
		if auc, z := rankSum(c.a, c.b); math.Abs(auc-c.auc) > 1e-12 || math.Abs(z-c.z) > 1e-12 {
			t.Errorf("%v before %v: %v of the pairs, z %v, want %v and %v", c.a, c.b, auc, z, c.auc, c.z)
		}
	}
}
