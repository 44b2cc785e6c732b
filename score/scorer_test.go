package score

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/scoretest"
)

// TestEveryShapeOfRequest: whatever the lengths, each item gets the score its prompt
// gives alone, and no step breaks the Engine's rules.
func TestEveryShapeOfRequest(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		query := ids(random.IntN(3), random.IntN(180))
		var items [][]int64
		for i := range 1 + random.IntN(30) {
			items = append(items, ids(100+i%7, 1+random.IntN(60)))
		}
		req := tokenRequest(query, items...)
		req.ItemFirst = n%5 == 4
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatalf("query of %d, %d items: %v", len(query), len(items), err)
		}
		wantScores(t, req, result)
		wantUsage(t, result.Usage)
	}
}

// wantUsage wants some tokens of a request to have been computed for it.
func wantUsage(t *testing.T, u Usage) {
	t.Helper()
	if u.CachedTokens < 0 || u.CachedTokens >= u.PromptTokens {
		t.Fatalf("usage %+v: cached tokens must be less than prompt tokens and not negative", u)
	}
}

// askAtOnce has 16 clients ask one request after the other, with queries of so many
// tokens that some share, and wants right scores.
func askAtOnce(t *testing.T, s *Scorer, query, requests int) {
	t.Helper()
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for n := range requests {
				req := tokenRequest(ids(n%3, query), ids(c, 5), ids(c+1, 9), ids(c+n, 3))
				result, err := s.Score(context.Background(), req)
				if err != nil {
					t.Error(err)
					return
				}
				wantScores(t, req, result)
			}
		})
	}
	clients.Wait()
}

func TestConcurrentRequests(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	askAtOnce(t, s, 40, 20)
	if load := s.Load(); load.Requests != 0 || load.WaitingRows != 0 || load.WaitingTokens != 0 {
		t.Errorf("load %+v after the last answer, want nothing in hand", load)
	}
}

// TestPrefixIsComputedOnce: the second request with the same query computes only its
// items.
func TestPrefixIsComputedOnce(t *testing.T) {
	engine := &scoretest.Fake{}
	s := newTestScorer(t, engine, Config{})
	query := ids(1, 100)
	for n, wantNew := range []bool{true, false} {
		before := len(engine.Steps())
		if _, err := s.Score(t.Context(), tokenRequest(query, ids(50+n, 4), ids(60+n, 4))); err != nil {
			t.Fatal(err)
		}
		computed := 0
		for _, step := range engine.Steps()[before:] {
			for _, prefix := range step.Prefixes {
				computed += len(prefix.New)
			}
		}
		if (computed > 0) != wantNew {
			t.Errorf("request %d computed %d prefix tokens, want some: %t", n, computed, wantNew)
		}
	}
	if n, err := s.Flush(); err != nil || n == 0 {
		t.Errorf("Flush dropped %d prefixes with error %v, want at least 1", n, err)
	}
}

func TestSmallRequestIsNotStarved(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 1000), Free: make(chan struct{}, 1000)}
	s := newTestScorer(t, engine, Config{})
	var items [][]int64
	for i := range 200 {
		items = append(items, ids(i, 15))
	}
	large := make(chan error, 1)
	go func() {
		_, err := s.Score(context.Background(), tokenRequest(ids(1, 20), items...))
		large <- err
	}()
	<-engine.Began
	small := make(chan error, 1)
	go func() {
		_, err := s.Score(context.Background(), tokenRequest(ids(2, 3), ids(3, 4)))
		small <- err
	}()
	for s.Load().Requests < 2 {
		time.Sleep(time.Millisecond)
	}
	for range 4 { // the one that runs, the one queued behind it, one that the large request leads, and the small one's
		engine.Free <- struct{}{}
	}
	if err := <-small; err != nil {
		t.Fatal(err)
	}
	if load := s.Load(); load.WaitingRows < 100 {
		t.Errorf("small request waited until %d rows of the large one were left", load.WaitingRows)
	}
	close(engine.Free)
	if err := <-large; err != nil {
		t.Fatal(err)
	}
}

// TestSlicesGiveWay: a prefix computed in slices delays a small request by one of them.
func TestSlicesGiveWay(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 1000), Free: make(chan struct{}, 1000)}
	s := newTestScorer(t, engine, Config{})
	answered := make(chan string, 2)
	ask := func(name string, req *Request) {
		result, err := s.Score(context.Background(), req)
		if err != nil {
			t.Error(name, err)
		} else {
			wantScores(t, req, result)
		}
		answered <- name
	}
	go ask("large", tokenRequest(ids(1, 240), ids(2, 5), ids(3, 5)))
	<-engine.Began
	go ask("small", tokenRequest(ids(2, 3), ids(3, 4)))
	for s.Load().Requests < 2 {
		time.Sleep(time.Millisecond)
	}
	for range 3 { // two of the large one's steps are formed when the small one comes
		engine.Free <- struct{}{}
	}
	if first := <-answered; first != "small" { // the large one needs five steps, and may take three
		t.Errorf("the %s request is answered first", first)
	}
	close(engine.Free)
	<-answered
}

// TestSlicesDisplaceEachOther: where the device has room for one prefix alone, each of
// two long ones begins again once.
func TestSlicesDisplaceEachOther(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 1000), Free: make(chan struct{}, 1000)}
	s := newTestScorer(t, engine, Config{})
	var all sync.WaitGroup
	for n := range 3 { // the first holds the device until all wait
		req := tokenRequest(ids(100*n, 240), ids(2, 5), ids(3, 5))
		all.Go(func() {
			result, err := s.Score(context.Background(), req)
			if err != nil {
				t.Error(err)
				return
			}
			wantScores(t, req, result)
		})
	}
	<-engine.Began
	for s.Load().Requests < 3 {
		time.Sleep(time.Millisecond)
	}
	close(engine.Free)
	all.Wait()
	if most := 3 * (1 + 5); len(engine.Steps()) > most { // 240 tokens in slices of 64, and the rows
		t.Errorf("%d steps, %d at most", len(engine.Steps()), most)
	}
}

func TestCancelDropsWaitingRows(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 100), Free: make(chan struct{}, 100)}
	s := newTestScorer(t, engine, Config{})
	first := make(chan error, 1)
	go func() {
		_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
		first <- err
	}()
	<-engine.Began
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := s.Score(ctx, tokenRequest(nil, ids(2, 5), ids(3, 50)))
		second <- err
	}()
	for s.Load().WaitingRows < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wantKind(t, <-second, Deadline)
	if load := s.Load(); load.WaitingRows != 0 {
		t.Errorf("%d rows wait after their client left", load.WaitingRows)
	}
	close(engine.Free)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if len(engine.Steps()) != 1 {
		t.Errorf("%d steps ran, want 1: the cancelled rows must not run", len(engine.Steps()))
	}
}

// TestLeaveWhileRunning: a request that ends while a step has one of its two rows has
// waited until the step was formed, and run since.
func TestLeaveWhileRunning(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 100), Free: make(chan struct{}, 100)}
	var mu sync.Mutex
	var wait, run Span
	s := newTestScorer(t, engine, Config{Observer: observerFunc(func(span Span) {
		mu.Lock()
		defer mu.Unlock()
		switch span.Stage {
		case StageWait:
			wait = span
		case StageRun:
			run = span
		}
	})})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := s.Score(ctx, tokenRequest(nil, ids(2, 5), ids(3, 5)))
		left <- err
	}()
	<-engine.Began
	cancel()
	wantKind(t, <-left, Deadline)
	close(engine.Free)
	mu.Lock()
	defer mu.Unlock()
	if wait.Rows != 1 || wait.Err == nil || wait.End.Before(wait.Start) {
		t.Errorf("wait is %+v, want one row dropped", wait)
	}
	if run.Rows != 1 || run.Err == nil || !run.Start.Equal(wait.End) || run.End.Before(run.Start) {
		t.Errorf("run is %+v, want the other row, from %s", run, wait.End)
	}
}

// TestPanicWhileForming fails the request whose step was being formed, and no other.
func TestPanicWhileForming(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	one := columns{labels: []int32{7}, of: []int{0}}
	for range 2 {
		broken := newJob(s.ladder, &Request{}, one, [][]int32{{1, 2, 3}, {1, 2, 4}}, nil, 0)
		broken.Groups[0].Shared = 2
		broken.Groups[0].Rows[0].Tokens = nil // no plan of ours: what they share is not there
		s.queue.mu.Lock()
		s.queue.enqueue(broken)
		s.queue.mu.Unlock()
		<-broken.done
		wantKind(t, broken.err, Internal)
		if !strings.Contains(broken.err.Error(), "plan.(*Group).sharedPrefix") {
			t.Errorf("error %v does not hold the stack", broken.err)
		}
		req := tokenRequest(ids(2, 20), ids(2, 5), ids(3, 5))
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantScores(t, req, result)
	}
}

// TestPanicBlamesTheJobAtFault: where several jobs wait, the one that the planner panics
// on fails alone, wherever it stands.
func TestPanicBlamesTheJobAtFault(t *testing.T) {
	for position := range 4 {
		engine := &scoretest.Fake{Began: make(chan struct{}, 1000), Free: make(chan struct{}, 1000)}
		s := newTestScorer(t, engine, Config{})
		var all sync.WaitGroup
		ask := func(seed int) {
			pushes := func() int64 {
				s.queue.mu.Lock()
				defer s.queue.mu.Unlock()
				return s.queue.pushes
			}
			before := pushes()
			all.Go(func() {
				req := tokenRequest(ids(seed, 30), ids(2, 5), ids(3, 5))
				if result, err := s.Score(context.Background(), req); err != nil {
					t.Errorf("broken job at %d: request %d failed with %v", position, seed, err)
				} else {
					wantScores(t, req, result)
				}
			})
			for pushes() == before {
				time.Sleep(time.Millisecond)
			}
		}
		ask(0) // holds the device until all wait
		<-engine.Began
		broken := newJob(s.ladder, &Request{}, columns{labels: []int32{7}, of: []int{0}}, [][]int32{{1, 2, 3}, {1, 2, 4}}, nil, 0)
		broken.Groups[0].Shared = 2
		broken.Groups[0].Rows[0].Tokens = nil
		for n := range 4 {
			if n == position {
				s.queue.mu.Lock()
				s.queue.enqueue(broken)
				s.queue.mu.Unlock()
				continue
			}
			ask(n + 1)
		}
		close(engine.Free)
		<-broken.done
		wantKind(t, broken.err, Internal)
		all.Wait()
	}
}

// TestPushWithoutPrefixNeedsNoTable: a request that shares no prefix queues up while a
// step is being formed.
func TestPushWithoutPrefixNeedsNoTable(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{})
	j := newJob(s.ladder, &Request{}, columns{labels: []int32{7}, of: []int{0}}, [][]int32{{1, 2, 3}}, nil, 0)
	s.queue.tables.mu.Lock()
	if err := s.queue.push(j); err != nil {
		t.Error(err)
	}
	s.queue.tables.mu.Unlock()
	<-j.done
	if j.err != nil {
		t.Error(j.err)
	}
}

func TestFailingStep(t *testing.T) {
	var mu sync.Mutex
	broken := true
	engine := &scoretest.Fake{Fault: func(*Step) error {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			return errors.New("device fell over")
		}
		return nil
	}}
	s := newTestScorer(t, engine, Config{})
	for range manyFailures {
		_, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5)))
		wantKind(t, err, Internal)
	}
	wantKind(t, s.Ready(), Unavailable)
	mu.Lock()
	broken = false
	mu.Unlock()
	if _, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5))); err != nil {
		t.Fatalf("next request after the Fault: %v", err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("not ready after a step that worked: %v", err)
	}
}

func TestPanickingStep(t *testing.T) {
	engine := &scoretest.Fake{Fault: func(*Step) error { panic("driver bug") }}
	s := newTestScorer(t, engine, Config{})
	_, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 5)))
	wantKind(t, err, Internal)
}

func TestBadRequests(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{ContextLength: 200})
	labels := func(all ...int64) (out []Label) {
		for _, id := range all {
			out = append(out, Label{ID: id})
		}
		return out
	}
	tokens := func(all ...int64) Part { return Part{IsTokens: true, Tokens: all} }
	for name, c := range map[string]struct {
		req  Request
		want string
	}{
		"label too large": {Request{Labels: []Label{{math.MaxInt64, "99999999999999999999"}}}, "label_token_ids[0] (99999999999999999999) exceeds vocabulary size (1000)"},
		"label negative":  {Request{Labels: labels(3, -1)}, "label_token_ids[1] is negative (-1)"},
		"no labels":       {Request{Query: tokens(1), Items: []Part{tokens(1)}}, "label_token_ids is empty; it must have at least one label"},
		"query negative":  {Request{Query: tokens(4, -5), Items: []Part{tokens(1)}, Labels: labels(1)}, "query[1] is negative (-5)"},
		"item too large":  {Request{Query: tokens(4), Items: []Part{tokens(1), tokens(1000)}, Labels: labels(1)}, "items[1][0] (1000) exceeds vocabulary size (1000)"},
		"item beyond int64": {Request{Query: tokens(4), Items: []Part{{IsTokens: true, Tokens: []int64{1, math.MinInt64}, Beyond: &Beyond{1, "-9223372036854775809"}}}, Labels: labels(1)},
			"items[0][1] is negative (-9223372036854775809)"},
		"mixed kinds":       {Request{Query: tokens(4), Items: []Part{{Text: "x"}}, Labels: labels(1)}, "items must be of the kind of query"},
		"no items, tokens":  {Request{Query: tokens(4), Labels: labels(1)}, "items must be of the kind of query"},
		"both empty":        {Request{Query: tokens(), Items: []Part{tokens()}, Labels: labels(1)}, "items[0] and query are both empty"},
		"text, no encoder":  {Request{Query: Part{Text: "a"}, Items: []Part{{Text: "b"}}, Labels: labels(1)}, "without a tokenizer"},
		"longer than limit": {Request{Query: tokens(ids(1, 150)...), Items: []Part{tokens(1), tokens(ids(2, 50)...)}, Labels: labels(1)}, "items[1] is too long: its prompt is 200 tokens of at most 193."},
		"one too many":      {Request{Query: tokens(ids(1, 194)...), Items: []Part{tokens()}, Labels: labels(1)}, "items[0] is too long: its prompt is 194 tokens of at most 193."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Score(t.Context(), &c.req)
			wantKind(t, err, Invalid)
			if err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want it to contain %q", err, c.want)
			}
		})
	}
}

func TestTruncateAndPartial(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{ContextLength: 100})
	req := tokenRequest(ids(1, 10), ids(2, 5), ids(3, 300), ids(4, 5))
	_, err := s.Score(t.Context(), req)
	wantKind(t, err, Invalid)

	req.Partial = true
	result, err := s.Score(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if result.ItemErrors[1] == nil || len(result.ItemErrors) != 1 || result.Scores[1] != nil || result.Scores[2] == nil {
		t.Errorf("partial result %+v, want item 1 alone to fail", result)
	}
	req.Partial, req.Truncate = false, true
	if result, err = s.Score(t.Context(), req); err != nil || !slices.Equal(result.Truncated, []int{1}) {
		t.Errorf("truncated items %v with error %v, want [1]", result.Truncated, err)
	}
}

func TestSoftmax(t *testing.T) {
	for _, c := range []struct{ in, want []float64 }{
		{[]float64{0, 0}, []float64{0.5, 0.5}},
		{[]float64{1.6875, 0}, []float64{0.8438951025545426, 0.15610489744545738}},
		{[]float64{-1000, 0}, []float64{0, 1}},
		{[]float64{math.Inf(-1), -3}, []float64{0, 1}},
		{[]float64{math.Inf(-1), math.Inf(-1)}, []float64{0.5, 0.5}},
		{[]float64{700, 700}, []float64{0.5, 0.5}},
	} {
		got := make([]float64, len(c.in))
		softmax(got, c.in)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-15 {
				t.Errorf("softmax(%v) = %v, want %v", c.in, got, c.want)
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		if err := checkFinite(&Request{}, 3, []float64{-1, v}); err == nil || err.Kind != NotFinite || err.Param != "items[3]" {
			t.Errorf("log-probability %v gives error %v, want NotFinite for items[3]", v, err)
		}
	}
	if err := checkFinite(&Request{}, 0, []float64{math.Inf(-1)}); err != nil {
		t.Errorf("a label of probability 0 gives error %v", err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	s := newTestScorer(t, &scoretest.Fake{}, Config{MaxQueue: 2, MaxTokens: 30})
	_, err := s.Score(t.Context(), tokenRequest(nil, ids(1, 2), ids(2, 2), ids(3, 2)))
	wantKind(t, err, TooLarge)
	_, err = s.Score(t.Context(), tokenRequest(nil, ids(1, 31)))
	wantKind(t, err, TooLarge)
	if _, err = s.Score(t.Context(), tokenRequest(nil, ids(1, 30))); err != nil {
		t.Error(err)
	}
}

func TestFullQueue(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 10), Free: make(chan struct{}, 10)}
	s := newTestScorer(t, engine, Config{MaxQueue: 1})
	first := make(chan error, 1)
	go func() {
		_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
		first <- err
	}()
	<-engine.Began
	_, err := s.Score(t.Context(), tokenRequest(nil, ids(2, 5)))
	wantKind(t, err, Overloaded)
	if _, err := s.Flush(); err == nil {
		t.Error("Flush worked with a row running")
	}
	close(engine.Free)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestDrainAndClose(t *testing.T) {
	engine := &scoretest.Fake{Began: make(chan struct{}, 10), Free: make(chan struct{}, 10)}
	s := newTestScorer(t, engine, Config{})
	answered := make(chan error, 1)
	go func() {
		_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
		answered <- err
	}()
	<-engine.Began
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	for s.Ready() == nil {
		time.Sleep(time.Millisecond)
	}
	_, err := s.Score(t.Context(), tokenRequest(nil, ids(2, 5)))
	wantKind(t, err, Unavailable)
	close(engine.Free)
	if err := errors.Join(<-answered, <-drained); err != nil {
		t.Errorf("admitted request or drain failed: %v", err)
	}
	s.Close()
	s.Close()
	wantKind(t, s.Ready(), Unavailable)
}

// TestCloseFailsWaitingRows: their request's time is all spent waiting, and no run is
// told of.
func TestCloseFailsWaitingRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		spans := map[Stage]Span{}
		engine := &scoretest.Fake{Began: make(chan struct{}, 10), Free: make(chan struct{})}
		s := newTestScorer(t, engine, Config{Observer: observerFunc(func(span Span) {
			mu.Lock()
			defer mu.Unlock()
			if span.RequestID == "waits" {
				spans[span.Stage] = span
			}
		})})
		ran, waited := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := s.Score(context.Background(), tokenRequest(nil, ids(1, 5)))
			ran <- err
		}()
		<-engine.Began
		go func() {
			req := tokenRequest(nil, ids(2, 5), ids(3, 5))
			req.ID = "waits"
			_, err := s.Score(context.Background(), req)
			waited <- err
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		go s.Close()
		wantKind(t, <-waited, Unavailable)
		close(engine.Free)
		if err := <-ran; err != nil {
			t.Errorf("the step under way failed: %v", err)
		}
		if wait := spans[StageWait]; wait.End.Sub(wait.Start) != time.Second || wait.Err == nil || wait.Rows != 2 {
			t.Errorf("wait span %+v, want a second of two rows, with an error", wait)
		}
		if run, told := spans[StageRun]; told {
			t.Errorf("run span %+v of rows that no step took", run)
		}
	})
}

func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &scoretest.Fake{Free: make(chan struct{})}
		s := newTestScorer(t, engine, Config{Watchdog: time.Minute})
		go func() { _, _ = s.Score(context.Background(), tokenRequest(nil, ids(1, 5))) }()
		time.Sleep(59 * time.Second)
		if err := s.Ready(); err != nil {
			t.Errorf("not ready within the watchdog time: %v", err)
		}
		time.Sleep(2 * time.Second)
		wantKind(t, s.Ready(), Unavailable)
		close(engine.Free)
	})
}

func TestNewRefusesBuckets(t *testing.T) {
	for name, buckets := range map[string][]Bucket{
		"none":      nil,
		"no cost":   {{Tokens: 4, Rows: 1, Length: 4}},
		"too short": {{Tokens: 64, Rows: 1, Length: 64, Cost: 1}},
	} {
		if _, err := New(Config{Vocab: 10, ContextLength: 256}, nil, &scoretest.Fake{Shapes: buckets}); err == nil {
			t.Errorf("%s: New took buckets %v", name, buckets)
		}
	}
}

func wantKind(t *testing.T, err error, kind Kind) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("error is %v, want kind %d", fmt.Sprint(err), kind)
	}
}

// TestLongPrefixGoesOnFromItself: a prefix computed in slices grows with every step,
// beside others that begin like it.
func TestLongPrefixGoesOnFromItself(t *testing.T) {
	buckets := []Bucket{{Tokens: 64, Rows: 1, Length: 64, Context: 64, Cost: 1}, {Tokens: 16, Rows: 2, Length: 16, Context: 256, Cost: 1}}
	engine := &scoretest.Fake{Shapes: buckets}
	s := newTestScorer(t, engine, Config{})
	query := ids(1, 200)
	for _, n := range []int{50, 200} {
		req := tokenRequest(query[:n], ids(2, 5), ids(3, 6))
		result, err := s.Score(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantScores(t, req, result)
	}
	if n := len(engine.Steps()); n > 2+200/16+2 {
		t.Errorf("%d steps, want one a slice and one a row", n)
	}
}
