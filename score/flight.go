package score

import (
	"errors"
	"fmt"
	"time"

	"scored/score/plan"
)

// flight is a step in flight: formed, and its answers not yet handed out. d.loop writes
// pending and err before it sends the flight to settleAll.
type flight struct {
	*plan.Formed
	jobs    []*job // the jobs of Formed.Takes, in the same order
	lead    *job
	number  int64 // of the step, counted over all devices
	use     stepUse
	start   time.Time
	pending Pending
	err     error // returned by Run
	spoiled error // why the answers mean nothing though the step ran; queue.mu must be held
	// again says that the step is to run once more, with nothing else queued: the
	// device had no memory for it, or a prefix that it reads was missing. It is set at
	// most once, with queue.mu held.
	again   bool
	settled chan struct{} // closed when its answers have been handed out
}

// finished is a Pending step that has run already.
type finished struct {
	answers [][]float32
	err     error
}

func (f finished) Wait() ([][]float32, error) { return f.answers, f.err }

// run gives the step to the engine. A panic in the engine fails this step, not the
// process.
func (d *device) run(step *Step) (pending Pending, err error) {
	err = guard(enginePanicked, func() (err error) {
		pending, err = d.engine.Run(step)
		return err
	})
	return pending, err
}

// wait returns the answers of a step, of which there must be one for each row.
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

// divisible reports whether a step that failed may work in halves: the device lacked
// memory and still has its cache.
func divisible(step *Step, err error) bool {
	return errors.Is(err, ErrMemory) && !errors.Is(err, ErrCache) && len(step.Rows) > 1
}

// runHalves runs both halves of a step, one after the other, and waits for each. A step
// of one row runs as it is. Nothing else may be queued on the device.
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

// halves splits the rows of a step. The first half computes the new tokens of the
// prefixes, and the second reads them. Neither copies rows.
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

// reads reports whether step reads slots of the cache that writer was to write.
func reads(step, writer *Step) bool {
	cached := func(p *Prefix) []int32 { return p.Slots[:len(p.Slots)-len(p.New)] }
	return writesAny(writer, step, cached)
}

// overwrites reports whether step writes slots of the cache that other has in its
// prefixes.
func overwrites(step, other *Step) bool {
	return writesAny(step, other, func(p *Prefix) []int32 { return p.Slots })
}

// writesAny reports whether writer writes any of the slots that slots selects from
// other's prefixes.
func writesAny(writer, other *Step, slots func(*Prefix) []int32) bool {
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

// readsCache reports whether a step reads anything that earlier steps wrote.
func readsCache(step *Step) bool {
	for _, p := range step.Prefixes {
		if len(p.Slots) > len(p.New) {
			return true
		}
	}
	return false
}

// span describes the step, which began to run at start and ends now. Requests holds the
// ids of the requests with rows in it, each once.
func (f *flight) span(device int, start time.Time, err error) Span {
	s := Span{Stage: StageStep, Number: f.number, Device: device, Start: start, End: time.Now(),
		Bucket: f.Step.Bucket,
		Rows:   len(f.Step.Rows), Tokens: f.Step.Computed(), Predicted: f.Step.Cost(), Err: err}
	listed := make(map[*job]bool, len(f.jobs)) // a job may have several groups in a step
	for i, take := range f.Takes {
		s.Cached += take.Count*take.Shared - take.New
		if j := f.jobs[i]; take.Count > 0 && !listed[j] {
			listed[j] = true
			s.Requests = append(s.Requests, j.id)
		}
	}
	return s
}
