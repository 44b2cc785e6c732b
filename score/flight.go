package score

import (
	"errors"
	"fmt"
	"time"

	"scored/score/plan"
)

// flight is a step between its forming and its answers.
type flight struct {
	*plan.Formed
	jobs    []*job // of Formed.Takes, in their order
	lead    *job
	number  int64 // of the step, among those of all devices
	turn    turn
	start   time.Time
	pending Pending
	err     error // of Run
	spoiled error // why its answers mean nothing, though it ran; queue.mu must be held
	// again: it is to run once more, by itself, as the device had no memory for it or a prefix that it reads was not there.
	// Set once, with queue.mu held.
	again   bool
	settled chan struct{} // closed when its answers have been handed out
}

// finished is a step that has run already.
type finished struct {
	answers [][]float32
	err     error
}

func (f finished) Wait() ([][]float32, error) { return f.answers, f.err }

// run gives the step to the engine. A panic in it fails this step, not the process.
func (d *device) run(step *Step) (pending Pending, err error) {
	err = guard(enginePanicked, func() (err error) {
		pending, err = d.engine.Run(step)
		return err
	})
	return pending, err
}

// wait takes the answers of a step.
func wait(pending Pending, rows int) (answers [][]float32, err error) {
	err = guard(enginePanicked, func() (err error) {
		answers, err = pending.Wait()
		return err
	})
	if err == nil && len(answers) != rows {
		err = fmt.Errorf("engine answered %d of %d rows", len(answers), rows)
	}
	return answers, err
}

const enginePanicked = "engine panicked"

// divisible tells whether a step that failed may work in halves: the device lacked memory, and still has its cache.
func divisible(step *Step, err error) bool {
	return errors.Is(err, ErrMemory) && !errors.Is(err, ErrCache) && len(step.Rows) > 1
}

// runHalves runs both halves of a step, one after the other, or a step of one row as it is. Nothing else is queued
// meanwhile.
func (d *device) runHalves(step *Step) finished {
	var all [][]float32
	parts := []*Step{step}
	if len(step.Rows) > 1 {
		parts = halves(step)
	}
	for _, half := range parts {
		pending, err := d.run(half)
		if err == nil {
			var answers [][]float32
			answers, err = wait(pending, len(half.Rows))
			all = append(all, answers...)
		}
		if err != nil {
			return finished{err: fmt.Errorf("step run by itself: %w", err)}
		}
	}
	return finished{answers: all}
}

// halves splits the rows. The first half computes what is new of the prefixes, and the second uses it.
func halves(s *Step) []*Step {
	first, second := *s, *s
	n := len(s.Rows) / 2
	first.Rows, second.Rows = s.Rows[:n], s.Rows[n:]
	second.Prefixes = make([]Prefix, len(s.Prefixes))
	for i, p := range s.Prefixes {
		second.Prefixes[i].Slots = p.Slots
	}
	return []*Step{&first, &second}
}

// reads tells whether a step reads slots of the cache that another was to write.
func reads(step, writer *Step) bool {
	return meet(writer, step, func(p *Prefix) []int32 { return p.Slots[:len(p.Slots)-len(p.New)] })
}

// overwrites tells whether a step writes slots of the cache that another has in its prefixes.
func overwrites(step, other *Step) bool {
	return meet(step, other, func(p *Prefix) []int32 { return p.Slots })
}

// meet tells whether a step writes any of those slots of another's prefixes.
func meet(writer, other *Step, slots func(*Prefix) []int32) bool {
	written := map[int32]bool{}
	for _, p := range writer.Prefixes {
		for _, slot := range p.Slots[len(p.Slots)-len(p.New):] {
			written[slot] = true
		}
	}
	for i := range other.Prefixes {
		for _, slot := range slots(&other.Prefixes[i]) {
			if written[slot] {
				return true
			}
		}
	}
	return false
}

// readsCache tells whether a step reads anything that earlier steps wrote.
func readsCache(step *Step) bool {
	for _, p := range step.Prefixes {
		if len(p.Slots) > len(p.New) {
			return true
		}
	}
	return false
}

// span tells of the step; Requests are the ids of those with rows in it. It began to run at start.
func (f *flight) span(device int, start time.Time, err error) Span {
	s := Span{Stage: StageStep, Number: f.number, Device: device, Start: start, End: time.Now(), Bucket: f.Step.Bucket,
		Rows: len(f.Step.Rows), Tokens: f.Step.Computed(), Predicted: f.Step.Cost(), Err: err}
	told := make(map[*job]bool, len(f.jobs)) // a job may have several groups in a step
	for i, take := range f.Takes {
		s.Cached += take.Count*take.Shared - take.New
		if j := f.jobs[i]; take.Count > 0 && !told[j] {
			told[j] = true
			s.Requests = append(s.Requests, j.id)
		}
	}
	return s
}
