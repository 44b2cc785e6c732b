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

// sequenceOf is what a label of several tokens must give behind a prompt.
func sequenceOf(prompt []int32, label []int64) (sum float64) {
	prompt = slices.Clone(prompt)
	for _, id := range label {
		sum += float64(fakeLogprob(prompt, int32(id)))
		prompt = append(prompt, int32(id))
	}
	return sum
}

func sequenceRequest(labels [][]int64, query []int64, items ...[]int64) *Request {
	req := tokenRequest(query, items...)
	req.Labels, req.Sequences, req.Logprobs = nil, labels, true
	return req
}

func wantSequences(t *testing.T, req *Request, result *Result) {
	t.Helper()
	for i, item := range req.Items {
		first, second := order(req, req.Query.Tokens, item.Tokens)
		prompt := narrow(len(first)+len(second), first, second)
		for k, label := range req.Sequences {
			if got, want := result.Logprobs[i][k], sequenceOf(prompt, label); got != want {
				t.Errorf("item %d label %v has %v, want %v", i, label, got, want)
			}
		}
	}
}

// TestEveryShapeOfSequences: whatever labels, alike or one the beginning of another, each
// has the sum of its tokens' numbers.
func TestEveryShapeOfSequences(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	random := rand.New(rand.NewPCG(5, 2))
	for n := range 300 {
		var items, labels [][]int64
		for i := range 1 + random.IntN(8) {
			items = append(items, ids(100+i%7, 1+random.IntN(30)))
		}
		for range 1 + random.IntN(12) {
			label := ids(random.IntN(3), 1+random.IntN(40))
			if len(labels) > 0 && random.IntN(3) == 0 {
				before := labels[random.IntN(len(labels))]
				label = append(slices.Clone(before[:random.IntN(len(before)+1)]), int64(random.IntN(9)))
			}
			labels = append(labels, label)
		}
		req := sequenceRequest(labels, ids(random.IntN(3), random.IntN(150)), items...)
		req.ItemFirst = n%5 == 4
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		wantSequences(t, req, result)
		wantUsage(t, result.Usage)
	}
}

// TestSequencesCostTheirTokens: four labels of five tokens cost twenty tokens beside the
// prompt, which is computed once, and nothing but those twenty the second time. What
// labels have in common is read once.
func TestSequencesCostTheirTokens(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	req := sequenceRequest([][]int64{{1, 2, 3, 4, 5}, {6, 2, 3, 4, 5}, {7, 2, 3, 4, 5}, {8, 2, 3, 4, 5}}, ids(1, 80), ids(2, 20))
	for n, want := range []Usage{{PromptTokens: 119}, {PromptTokens: 119, CachedTokens: 99}} {
		before := len(engine.Steps())
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantSequences(t, req, result)
		computed, numbers := 0, 0
		for _, step := range engine.Steps()[before:] {
			computed += step.Computed()
			for _, row := range step.Rows {
				numbers += row.Numbers()
			}
		}
		if result.Usage != want || computed != want.PromptTokens-want.CachedTokens || numbers != 20 {
			t.Errorf("request %d: usage %+v, %d tokens are computed, %d numbers read, want %+v and 20 numbers", n, result.Usage, computed, numbers, want)
		}
	}
	for name, c := range map[string]struct {
		labels           [][]int64
		numbers, prompts int
	}{
		"of one token, one twice":      {[][]int64{{1}, {2}, {1}}, 2, 10},
		"the same beginning":           {[][]int64{{1, 2, 3}, {1, 2, 4}, {1, 5}}, 5, 9 + 3},
		"one is the other's beginning": {[][]int64{{1, 2}, {1, 2, 3}, {1}}, 3, 9 + 3},
	} {
		before := len(engine.Steps())
		req := sequenceRequest(c.labels, nil, ids(4, 10))
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantSequences(t, req, result)
		numbers := 0
		for _, step := range engine.Steps()[before:] {
			for _, row := range step.Rows {
				numbers += row.Numbers()
			}
		}
		if numbers != c.numbers || result.Usage.PromptTokens != c.prompts {
			t.Errorf("%s: %d numbers are read and %d tokens counted, want %d and %d", name, numbers, result.Usage.PromptTokens, c.numbers, c.prompts)
		}
	}
}

// TestSequencesAsScores: scores are probabilities of whole labels, or of a token of them,
// or shares among the labels.
func TestSequencesAsScores(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	labels := [][]int64{{1, 2, 3}, {4}}
	prompt := narrow(5, ids(2, 5))
	one, other := sequenceOf(prompt, labels[0]), sequenceOf(prompt, labels[1])
	for _, c := range []struct {
		softmax, normalize bool
		want               float64
	}{
		{false, false, math.Exp(one)}, {false, true, math.Exp(one / 3)},
		{true, false, 1 / (1 + math.Exp(other-one))}, {true, true, 1 / (1 + math.Exp(other-one/3))},
	} {
		req := sequenceRequest(labels, nil, ids(2, 5))
		req.Softmax, req.Normalize, req.Logprobs = c.softmax, c.normalize, false
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Scores[0][0]; math.Abs(got/c.want-1) > 1e-12 {
			t.Errorf("softmax %t, normalize %t: score %v, want %v", c.softmax, c.normalize, got, c.want)
		}
	}
}

// TestBadSequences: an error names the label; what the server takes bounds what is read
// and held.
func TestBadSequences(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{ContextLength: 100, MaxQueue: 40, MaxLabels: 20, MaxTokens: 500})
	for name, c := range map[string]struct {
		change func(*Request)
		kind   Kind
		param  string
		says   string
	}{
		"none":      {func(r *Request) { r.Sequences = [][]int64{} }, Invalid, "labels", "labels is empty; it must have at least one label"},
		"no tokens": {func(r *Request) { r.Sequences[1] = nil }, Invalid, "labels[1]", "labels[1] has no tokens"},
		"no token":  {func(r *Request) { r.Sequences[1][1] = 1000 }, Invalid, "labels[1]", "labels[1][1] (1000) exceeds vocabulary size"},
		"negative":  {func(r *Request) { r.Sequences[0][0] = -1 }, Invalid, "labels[0]", "labels[0][0] is negative (-1)"},
		"beyond int64": {func(r *Request) {
			r.Sequences[1][0], r.SequenceBeyond = math.MaxInt64, map[int]*Beyond{1: {Digits: "9223372036854775808"}}
		}, Invalid, "labels[1]", "labels[1][0] (9223372036854775808) exceeds vocabulary size"},
		"too long":         {func(r *Request) { r.Sequences[1] = ids(1, 94) }, Invalid, "labels[1]", "labels[1] has 94 tokens, the longest that fits behind a prompt has 93"},
		"too many tokens":  {func(r *Request) { r.Sequences[1] = ids(1, 19) }, Invalid, "labels", "labels has more than 20 tokens to read"},
		"too long prompt":  {func(r *Request) { r.Query.Tokens = ids(1, 88) }, Invalid, "items[0]", "items[0] is too long: with its longest label its prompt is 95 tokens of at most 94"},
		"positions":        {func(r *Request) { r.Positions = []int64{0} }, Invalid, "score_positions", "leave it or label_mode out"},
		"too many rows":    {func(r *Request) { r.Items = slices.Repeat(r.Items, 7) }, TooLarge, "labels", "14 items with 2 labels count as 42 rows"},
		"too many to hold": {func(r *Request) { r.Query.Tokens, r.Items = ids(1, 60), slices.Repeat(r.Items, 2) }, TooLarge, "items", "more than 500 prompt tokens"},
	} {
		req := sequenceRequest([][]int64{{7, 8}, {9, 10}}, ids(1, 3), ids(2, 5), ids(3, 4))
		req.LabelField = "labels"
		c.change(req)
		_, err := s.Score(t.Context(), req)
		wantKind(t, err, c.kind)
		var failure *Error
		if !errors.As(err, &failure) || failure.Param != c.param || !strings.Contains(failure.Message, c.says) {
			t.Errorf("%s: error %v, want it to name %s and say %q", name, err, c.param, c.says)
		}
	}
	req := sequenceRequest([][]int64{{7, 8}, {9, 10}}, ids(1, 3), ids(2, 98), ids(3, 4))
	req.Truncate = true
	result, err := s.Score(context.Background(), req)
	if err != nil || !slices.Equal(result.Truncated, []int{0}) || result.Logprobs[0][1] != sequenceOf(narrow(93, req.Query.Tokens, req.Items[0].Tokens), req.Sequences[1]) {
		t.Errorf("result %+v with error %v, want the first item cut to leave room for a label", result, err)
	}
}
