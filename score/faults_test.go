package score

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scored/score/plan"
	"scored/score/scoretest"
)

// TestFaultsLoseNothing plays clients that share some prefixes, and leave at times, on
// one and two devices whose caches are small and whose steps fail at random: for want of
// memory, with the cache, or for no reason, when they are queued or when they run. Every
// request gets the scores of its prompts alone or an error, also when the Scorer is
// closed meanwhile, and in the end nothing is in hand.
func TestFaultsLoseNothing(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := &chance{Rand: rand.New(rand.NewPCG(seed, 5))}
				var engines []Engine
				for range 1 + seed%2 {
					engines = append(engines, &scoretest.Fake{Shapes: quickBuckets(), CacheSize: 2 + int(seed%5),
						Refuse: random.fault(40), Fault: random.fault(10)})
				}
				s, err := New(Config{Vocab: 1000, ContextLength: 256}, nil, engines...)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				var clients sync.WaitGroup
				for c := range 6 {
					clients.Go(func() { random.ask(t, s, c) })
				}
				if seed%3 == 2 {
					time.Sleep(time.Duration(random.of(30_000)))
					s.Close()
				}
				clients.Wait()
				time.Sleep(time.Second) // steps end whose clients have left
				if load := s.Load(); load.Requests != 0 || load.RunningRows != 0 || load.WaitingRows != 0 || s.queue.underWay.steps != 0 {
					t.Errorf("load %+v and %d steps under way after the last answer, want nothing in hand", load, s.queue.underWay.steps)
				}
			})
		})
	}
}

// chance is a source of chances for several goroutines.
type chance struct {
	*rand.Rand
	mu sync.Mutex
}

func (r *chance) of(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.IntN(n)
}

// fault makes one in so many steps fail. One of several rows may lack memory.
func (r *chance) fault(oneIn int) func(*Step) error {
	return func(step *Step) error {
		time.Sleep(time.Duration(r.of(1000)))
		if r.of(oneIn) > 0 {
			return nil
		}
		switch n := r.of(8); {
		case n == 0:
			return fmt.Errorf("injected: %w", ErrCache)
		case n == 1:
			return errors.New("injected")
		default:
			return fmt.Errorf("injected: %w", ErrMemory)
		}
	}
}

// ask sends requests one after the other, and leaves some of them.
func (r *chance) ask(t *testing.T, s *Scorer, client int) {
	for n := range 25 {
		var items [][]int64
		for i := range 1 + r.of(12) {
			items = append(items, ids(client+i, 1+r.of(14)))
		}
		req := tokenRequest(ids(r.of(4), []int{5, 20, 60, 150, 220}[r.of(5)]), items...)
		leaves, after := r.of(6) == 0, time.Minute
		if leaves {
			after = time.Duration(1 + r.of(3000))
		}
		ctx, cancel := context.WithTimeout(context.Background(), after)
		result, err := s.Score(ctx, req)
		cancel()
		var e *Error
		switch {
		case err == nil:
			wantScores(t, req, result)
			if u := result.Usage; u.CachedTokens < 0 || u.CachedTokens >= u.PromptTokens {
				t.Errorf("client %d, request %d: usage %+v", client, n, u)
			}
		case errors.As(err, &e) && e.Kind == Unavailable && s.Ready() != nil:
			return // closed
		case e == nil || e.Kind != Internal && !(e.Kind == Deadline && leaves):
			t.Errorf("client %d, request %d: %v", client, n, err)
		}
	}
}

// TestSpanTellsOfEachRequestOnce: a request may have several groups of rows in a step,
// and a slice of a prefix without rows.
func TestSpanTellsOfEachRequestOnce(t *testing.T) {
	a, b, c := &job{id: "a"}, &job{id: "b"}, &job{id: "c"}
	f := &flight{jobs: []*job{a, b, a, c}, Formed: &plan.Formed{Step: &Step{}, Takes: []plan.Take{{Count: 2}, {Count: 1}, {Count: 1}, {New: 5}}}}
	if ids := f.span(0, time.Now(), nil).Requests; !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("the step tells of requests %v, want a and b", ids)
	}
}
