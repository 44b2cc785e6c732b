package score

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"scored/score/scoretest"
)

// wantPlaces checks the scores at positions against what the prompt up to each gives
// alone.
func wantPlaces(t *testing.T, req *Request, result *Result) {
	t.Helper()
	wantScores(t, req, result)
	for i, item := range req.Items {
		first, second := order(req, req.Query.Tokens, item.Tokens)
		prompt := narrow(len(first)+len(second), first, second)
		for n, p := range req.Positions {
			end := int(p) + 1
			if p < 0 {
				end += len(item.Tokens)
			}
			if !req.ItemFirst {
				end += len(req.Query.Tokens)
			}
			for k, label := range req.Labels {
				want := math.Exp(float64(fakeLogprob(prompt[:end], int32(label.ID))))
				if got := result.PositionScores[i][n][k]; got != want {
					t.Errorf("item %d position %d label %d scores %v, want %v", i, p, k, got, want)
				}
			}
		}
	}
}

// TestEveryShapeOfPositions: at whatever positions, a prompt's scores are those of the
// prompt up to there.
func TestEveryShapeOfPositions(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	random := rand.New(rand.NewPCG(3, 2))
	for n := range 300 {
		length := 1 + random.IntN(60)
		var items [][]int64
		for i := range 1 + random.IntN(6) {
			items = append(items, ids(100+i%3, length+random.IntN(10)))
		}
		req := tokenRequest(ids(random.IntN(3), random.IntN(150)), items...)
		req.ItemFirst = n%5 == 4
		for range 1 + random.IntN(40) {
			req.Positions = append(req.Positions, int64(random.IntN(2*length)-length))
		}
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		wantPlaces(t, req, result)
		wantUsage(t, result.Usage)
	}
}

// TestPositionsAreReadOnce: each place of a prompt is read once, by whatever positions it
// is named and however often, and each label there is; and the prompt is computed once.
func TestPositionsAreReadOnce(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	req := tokenRequest(ids(1, 3), ids(2, 10))
	req.Positions = []int64{9, -1, 2, -8, 2, 0}
	req.Labels = append(req.Labels, req.Labels...)
	result, err := s.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	wantPlaces(t, req, result)
	steps := engine.Steps()
	if len(steps) != 1 || len(steps[0].Rows) != 1 || steps[0].Computed() != 13 {
		t.Fatalf("steps %+v, want one with one row of 13 tokens", steps)
	}
	row := steps[0].Rows[0]
	if len(row.Inner) != 2 || row.Inner[0].Back != 9 || row.Inner[1].Back != 7 || row.Numbers() != 6 {
		t.Errorf("the row reads %+v and its end, %d numbers, want the places of positions 0 and 2, and 6 numbers", row.Inner, row.Numbers())
	}
}

func TestPositionsOfSoftmaxAndLogprobs(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	req := tokenRequest(ids(1, 3), ids(2, 10))
	req.Positions, req.Softmax, req.Logprobs = []int64{4}, true, true
	result, err := s.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	prompt := narrow(8, req.Query.Tokens, req.Items[0].Tokens)
	one, other := float64(fakeLogprob(prompt, 7)), float64(fakeLogprob(prompt, 900))
	if got := result.PositionLogprobs[0][0]; got[0] != one || got[1] != other {
		t.Errorf("log-probabilities %v, want %v and %v", got, one, other)
	}
	if got, want := result.PositionScores[0][0][0], 1/(1+math.Exp(other-one)); math.Abs(got-want) > 1e-12 {
		t.Errorf("softmax %v, want %v", got, want)
	}
}

// TestBadPositions: an error names the position; with Partial it fails its item alone.
func TestBadPositions(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{ContextLength: 100, MaxQueue: 30, MaxScores: 100})
	for name, c := range map[string]struct {
		change func(*Request)
		kind   Kind
		param  string
		says   string
	}{
		"too large":     {func(r *Request) { r.Positions = []int64{0, 4} }, Invalid, "score_positions[1]", "items[1] has 4 tokens; a position"},
		"too negative":  {func(r *Request) { r.Positions = []int64{-5} }, Invalid, "score_positions[0]", "is -5, and items[1] has 4 tokens"},
		"saturated":     {func(r *Request) { r.Positions = []int64{math.MinInt64} }, Invalid, "score_positions[0]", "items[0] has 5 tokens"},
		"no such token": {func(r *Request) { r.Positions = []int64{0}; r.Items[1].Tokens = nil }, Invalid, "score_positions[0]", "items[1] has 0 tokens"},
		"of texts": {func(r *Request) { r.Query, r.Items, r.Positions = Part{Text: "q"}, []Part{{Text: "a"}}, []int64{0} },
			Invalid, "score_positions", "send query and items as lists of token ids"},
		"cut away": {func(r *Request) { r.Truncate, r.Positions, r.Query.Tokens = true, []int64{3}, ids(1, 91) },
			Invalid, "score_positions[0]", "items[0] has 3 tokens left"},
		"more than tokens": {func(r *Request) { r.Positions = make([]int64, 101) }, Invalid, "score_positions", "101 entries"},
		"many numbers":     {func(r *Request) { r.Positions = make([]int64, 25) }, TooLarge, "score_positions", "at 25 positions and the end make an answer of 104 numbers"},
		"many rows": {func(r *Request) { r.Positions = []int64{0, 1, 2}; r.Items = slices.Repeat(r.Items, 4) }, TooLarge, "score_positions",
			"at 3 positions and the end count as 32 rows"},
		"many numbers without": {func(r *Request) { r.Positions = []int64{0}; r.Items = slices.Repeat(r.Items, 30) }, TooLarge, "label_token_ids",
			"60 items with 2 labels at 1 positions and the end make an answer of 240 numbers"},
		"beyond int64": {func(r *Request) {
			r.Positions, r.PositionBeyond = []int64{0, math.MaxInt64}, &Beyond{Index: 1, Digits: "9223372036854775808"}
		}, Invalid, "score_positions[1]", "score_positions[1] is 9223372036854775808, and"},
		"the greatest int64": {func(r *Request) {
			r.Positions, r.PositionBeyond = []int64{math.MaxInt64, math.MaxInt64}, &Beyond{Index: 1, Digits: "9223372036854775808"}
		}, Invalid, "score_positions[0]", "score_positions[0] is 9223372036854775807, and"},
	} {
		req := tokenRequest(ids(1, 3), ids(2, 5), ids(3, 4))
		c.change(req)
		_, err := s.Score(t.Context(), req)
		wantKind(t, err, c.kind)
		var failure *Error
		if !errors.As(err, &failure) || failure.Param != c.param || !strings.Contains(failure.Message, c.says) {
			t.Errorf("%s: error %v, want it to name %s and say %q", name, err, c.param, c.says)
		}
	}
	req := tokenRequest(ids(1, 3), ids(2, 5), ids(3, 4))
	req.Partial, req.Positions = true, []int64{-5}
	result, err := s.Score(context.Background(), req)
	if err != nil || result.ItemErrors[1] == nil || result.PositionScores[1] != nil || len(result.PositionScores[0]) != 1 {
		t.Errorf("result %+v with error %v, want an answer for the first item and an error for the second", result, err)
	}
}
