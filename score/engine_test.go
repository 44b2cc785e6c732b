package score

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"testing"
)

// strictEngine is an Engine without a device. It answers from the whole prompt and the label alone, and fails every step
// that breaks a rule of the Engine's contract.
type strictEngine struct {
	buckets []Bucket
	limit   int // prefixes kept

	mu    sync.Mutex
	kept  []*Prefix // least recently used first
	steps []Step
	fault func(step *Step) error // nil: none
	began chan struct{}          // told of every step, if set
	free  chan struct{}          // a step waits for it, if set
}

func (e *strictEngine) Buckets() []Bucket { return slices.Clone(e.buckets) }

func (e *strictEngine) Match(prompt []int32, size int) (best *Prefix, most int) {
	for _, p := range slices.Backward(e.kept) {
		if p.Size > size {
			continue
		}
		if n := sharedTokens(p.Tokens, prompt); n > most {
			best, most = p, n
		}
	}
	return best, most
}

func (e *strictEngine) Flush() int {
	n := len(e.kept)
	e.kept = nil
	return n
}

func (e *strictEngine) Run(step *Step) ([][]float32, error) {
	if e.began != nil {
		e.began <- struct{}{}
	}
	if e.free != nil {
		<-e.free
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.steps = append(e.steps, *step)
	if err := e.check(step); err != nil {
		return nil, err
	}
	if e.fault != nil {
		if err := e.fault(step); err != nil {
			return nil, err
		}
	}
	if step.New > 0 {
		e.kept = append(slices.DeleteFunc(e.kept, func(p *Prefix) bool { return p == step.Base && step.Kept == len(p.Tokens) }), step.Prefix)
		e.kept = e.kept[max(0, len(e.kept)-e.limit):]
	}
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		for _, label := range row.Labels {
			answers[i] = append(answers[i], fakeLogprob(row.Tokens, label))
		}
	}
	return answers, nil
}

func (e *strictEngine) check(step *Step) error {
	b := step.Bucket
	if !slices.Contains(e.buckets, b) {
		return fmt.Errorf("bucket %+v is not one of the engine's", b)
	}
	if step.Base != nil && !slices.Contains(e.kept, step.Base) {
		return errors.New("base is not on the device")
	}
	held := 0
	if p := step.Prefix; p != nil {
		held = len(p.Tokens)
		kept := p.Tokens[:step.Kept]
		switch {
		case p.Size != b.Prefix || held > p.Size || step.Kept+step.New != held:
			return fmt.Errorf("prefix of %d (size %d, %d kept, %d new) does not fit %+v", held, p.Size, step.Kept, step.New, b)
		case step.New == 0 && step.Base != p:
			return errors.New("prefix is not computed and not the base")
		case step.Kept > 0 && (step.Base == nil || step.Base.Size != p.Size || sharedTokens(step.Base.Tokens, kept) < step.Kept):
			return errors.New("kept tokens are not the base's")
		}
	}
	tokens := step.New
	for _, row := range step.Rows {
		if len(row.Own()) == 0 || len(row.Own()) > b.Length || row.Shared > held {
			return fmt.Errorf("row of %d tokens, %d shared, does not fit %+v", len(row.Tokens), row.Shared, b)
		}
		if row.Shared > 0 && !slices.Equal(step.Prefix.Tokens[:row.Shared], row.Tokens[:row.Shared]) {
			return errors.New("row does not begin with the prefix")
		}
		tokens += len(row.Own())
	}
	if tokens > b.Tokens || len(step.Rows) > b.Rows || tokens == 0 {
		return fmt.Errorf("%d tokens and %d rows do not fit %+v", tokens, len(step.Rows), b)
	}
	return nil
}

// fakeLogprob is a log-probability that depends on every token and on the label, and on nothing else.
func fakeLogprob(prompt []int32, label int32) float32 {
	h := fnv.New32a()
	for _, id := range append(slices.Clone(prompt), label) {
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
	}
	return -float32(h.Sum32()%100000)/10000 - 0.001
}

func testBuckets() []Bucket {
	return []Bucket{
		{Tokens: 16, Rows: 1, Length: 16, Cost: 17}, {Tokens: 64, Rows: 1, Length: 64, Cost: 65},
		{Tokens: 64, Rows: 8, Length: 16, Cost: 67},
		{Tokens: 64, Rows: 8, Length: 16, Prefix: 32, Cost: 70}, {Tokens: 32, Rows: 2, Length: 32, Prefix: 32, Cost: 36},
		{Tokens: 64, Rows: 16, Length: 8, Prefix: 256, Cost: 90}, {Tokens: 48, Rows: 4, Length: 24, Prefix: 256, Cost: 80},
	}
}

func newTestScorer(t *testing.T, engine *strictEngine, cfg Config) *Scorer {
	t.Helper()
	if engine.buckets == nil {
		engine.buckets = testBuckets()
	}
	if engine.limit == 0 {
		engine.limit = 2
	}
	cfg.Vocab = 1000
	if cfg.ContextLength == 0 {
		cfg.ContextLength = 256
	}
	s, err := New(cfg, nil, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func ids(from, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64((from*131 + i*17 + i*i) % 1000)
	}
	return out
}

func tokenRequest(query []int64, items ...[]int64) *Request {
	req := &Request{ID: "r", Query: Part{IsTokens: true, Tokens: query}, Labels: []Label{{ID: 7}, {ID: 900}}}
	for _, item := range items {
		req.Items = append(req.Items, Part{IsTokens: true, Tokens: item})
	}
	return req
}

// wantScores checks a result against what each prompt alone must give.
func wantScores(t *testing.T, req *Request, result *Result) {
	t.Helper()
	if len(result.Scores) != len(req.Items) {
		t.Fatalf("%d rows of scores for %d items", len(result.Scores), len(req.Items))
	}
	for i, item := range req.Items {
		first, second := order(req, req.Query.Tokens, item.Tokens)
		prompt := narrow(len(first)+len(second), first, second)
		for k, label := range req.Labels {
			want := math.Exp(float64(fakeLogprob(prompt, int32(label.ID))))
			if got := result.Scores[i][k]; got != want {
				t.Errorf("item %d label %d scores %v, want %v", i, k, got, want)
			}
		}
	}
}

// observerFunc is an Observer made of a function.
type observerFunc func(Span)

func (f observerFunc) Observe(span Span) { f(span) }
