package laws

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scored/model/checkpoint"
	"scored/score"
	"scored/target"
)

// TestClientsStayTogether: clients send each request after the answer to the last, and
// one step could serve all of them. They do not fall apart into groups that take turns,
// though each needs some time for its next request. Clients that need long delay no step.
func TestClientsStayTogether(t *testing.T) {
	for name, c := range map[string]struct {
		turnaround, jitter time.Duration
		together           bool
	}{
		"at once": {0, 0, true}, "after half a millisecond": {500 * time.Microsecond, 200 * time.Microsecond, true},
		"after five": {5 * time.Millisecond, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, seen := checkpoint.Qwen3_0_6B(), &spans{}
				buckets := priced(cfg, "h100", target.Fused, cfg.MaxPositions)
				device := &nullEngine{buckets: buckets, pages: cachePages, queues: true}
				scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: cfg.MaxPositions, Observer: seen}, nil, device)
				if err != nil {
					t.Fatal(err)
				}
				defer scorer.Close()
				const clients, requests = 24, 40
				ask := common(600, 0, 60, 1) // S4
				var all sync.WaitGroup
				for client := range clients {
					random := rand.New(rand.NewPCG(uint64(client), 7))
					all.Go(func() {
						for range requests {
							if _, err := scorer.Score(context.Background(), ask(random)); err != nil {
								t.Error(err)
							}
							time.Sleep(c.turnaround + time.Duration(random.Float64()*float64(c.jitter)))
						}
					})
				}
				all.Wait()
				steps := seen.take()
				idle := steps[len(steps)-1].End.Sub(steps[0].Start)
				for _, step := range steps {
					idle -= step.End.Sub(step.Start)
				}
				perStep := float64(clients*requests) / float64(len(steps))
				t.Logf("%.1f requests a step, %s without a step between steps", perStep, idle/time.Duration(len(steps)))
				if c.together && perStep < 0.9*clients {
					t.Errorf("%.1f requests a step, want %d: one step has room for all", perStep, clients)
				}
				if least := buckets[0].Cost / 50; !c.together && idle/time.Duration(len(steps)) > least {
					t.Errorf("the device is idle for %s a step, want %s at most: nobody comes back in time", idle/time.Duration(len(steps)), least)
				}
			})
		})
	}
}
