package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
	"scored/target"
)

// What is timed. The price is a formula with few coefficients, which a few steps
// determine if they differ enough.
const (
	longestSampled = 2048                // keys of a prefix; more tell no more
	longestStep    = 5 * time.Second / 2 // by the target's row
	slowerSteps    = 8                   // or so many times the shortest step, of a large model
	sampled        = 3                   // shapes for each length of a prefix
)

// sampledStep is a step to be timed: a full one of the bucket, on a prefix of so many
// keys.
type sampledStep struct {
	bucket score.Bucket
	keys   int // at most the bucket's context
}

// sampleSteps chooses steps that tell the coefficients apart: of few and of many tokens,
// without a prefix, with a page, and with the longest that is sampled. The buckets' Cost
// must be set: slow steps are left out by it.
func sampleSteps(all []score.Bucket) (some []sampledStep) {
	byCost := func(a, b score.Bucket) int { return cmp.Compare(a.Cost, b.Cost) }
	most := max(longestStep, slowerSteps*slices.MinFunc(all, byCost).Cost)
	for _, keys := range []int{0, score.PageTokens, longestSampled} {
		step := func(b score.Bucket) sampledStep { return sampledStep{b, min(keys, b.Context)} }
		var quick []score.Bucket
		for _, b := range all {
			if (b.Context > 0) == (keys > 0) && fullStep(step(b)).Cost() <= most {
				quick = append(quick, b)
			}
		}
		for _, b := range pickSizes(quick) {
			if one := step(b); !slices.Contains(some, one) {
				some = append(some, one)
			}
		}
	}
	return some
}

// pickSizes picks sampled of the buckets: those with the fewest and with the most tokens,
// and others between. Of buckets with equal tokens only the one with the shortest context
// counts.
func pickSizes(of []score.Bucket) (some []score.Bucket) {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b score.Bucket) int {
		return cmp.Or(cmp.Compare(a.Tokens, b.Tokens), cmp.Compare(a.Context, b.Context))
	})
	of = slices.CompactFunc(of, func(a, b score.Bucket) bool { return a.Tokens == b.Tokens })
	for n := range sampled {
		if len(of) == 0 {
			break
		}
		if b := of[n*(len(of)-1)/(sampled-1)]; !slices.Contains(some, b) {
			some = append(some, b)
		}
	}
	return some
}

// Shapes are timed in rounds, at least two: the first of them warms up, and a
// disturbance does not meet one shape alone.
const (
	timedRounds = 5
	timedFor    = 12 * time.Second // no round begins later
)

// timing is the work of timing steps.
type timing struct {
	steps   []sampledStep
	samples []target.Sample // of the steps, in their order; each has the shortest time so far
	timed   atomic.Int64    // steps, in all rounds
}

// newSamples returns the work of each step, and no time yet. Where programs may not loop
// (HostLoops), the formula goes over all keys of the bucket's context, however many of
// them the step has.
func newSamples(cfg checkpoint.Config, t target.Target, p app.Price,
	steps []sampledStep) (samples []target.Sample) {
	costs := model.Costs{Config: cfg, Attention: p.Attention, Weights: p.DType}
	for _, one := range steps {
		keys := one.keys
		if p.Attention == target.Native && t.HostLoops {
			keys = one.bucket.Context
		}
		samples = append(samples, target.Sample{Work: costs.Work(one.bucket, keys), Seconds: math.Inf(1)})
	}
	return samples
}

// run times every step in each round, one after the other.
func (t *timing) run(ctx context.Context, engine *model.Engine) error {
	begun := time.Now()
	for round := 0; round < 2 || round < timedRounds && time.Since(begun) < timedFor; round++ {
		for i, one := range t.steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			start := time.Now()
			if err := runStep(engine, fullStep(one)); err != nil {
				return fmt.Errorf("step of %s: %w", bucketText(one.bucket), err)
			}
			t.samples[i].Seconds = min(t.samples[i].Seconds, time.Since(start).Seconds())
			t.timed.Add(1)
		}
	}
	return nil
}

// progress says how far run is. It may be called while run runs.
func (t *timing) progress() string {
	done, shapes := int(t.timed.Load()), len(t.steps)
	round := min(done/shapes, timedRounds-1) // the last stays the last when it is over
	return fmt.Sprintf("%d of %d steps in round %d, of at most %d rounds", done-round*shapes, shapes,
		round+1, timedRounds)
}

// runStep runs a step and waits for it.
func runStep(engine *model.Engine, step *score.Step) error {
	pending, err := engine.Run(step)
	if err == nil {
		_, err = pending.Wait()
	}
	return err
}

// fullStep returns a step that fills the bucket with rows on one prefix. The prefix was
// never computed: what the cache was made with takes the same time.
func fullStep(one sampledStep) *score.Step {
	b := one.bucket
	step := &score.Step{Bucket: b}
	if one.keys > 0 {
		slots := make([]int32, one.keys)
		for i := range slots {
			slots[i] = int32(i)
		}
		step.Prefixes = []score.Prefix{{Slots: slots}}
	}
	length := min(b.Length, b.Tokens)
	for free := b.Tokens; free >= length && len(step.Rows) < b.Rows; free -= length {
		step.Rows = append(step.Rows, score.Row{Tokens: make([]int32, one.keys+length), Shared: one.keys,
			Labels: []int32{0}, Relative: true})
	}
	return step
}

// bucketsOf returns the steps' buckets, each once.
func bucketsOf(steps []sampledStep) (buckets []score.Bucket) {
	for _, one := range steps {
		if !slices.Contains(buckets, one.bucket) {
			buckets = append(buckets, one.bucket)
		}
	}
	return buckets
}
