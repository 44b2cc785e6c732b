package score

import (
	"errors"
	"fmt"
)

// runner gives steps to an Engine. A panic in the Engine fails its step, not the
// process.
type runner struct{ engine Engine }

// finished is a Pending step that has run already.
type finished struct {
	answers [][]float32
	err     error
}

func (f finished) Wait() ([][]float32, error) { return f.answers, f.err }

const enginePanicked = "engine panicked"

// run queues the step on the device.
func (r runner) run(step *Step) (pending Pending, err error) {
	err = guard(enginePanicked, func() (err error) {
		pending, err = r.engine.Run(step)
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

// runHalves runs both halves of a step, one after the other, and waits for each. A step
// of one row runs as it is. Nothing else may be queued on the device.
func (r runner) runHalves(step *Step) finished {
	var all [][]float32
	parts := []*Step{step}
	if len(step.Rows) > 1 {
		parts = halves(step)
	}
	for _, half := range parts {
		pending, err := r.run(half)
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

// divisible reports whether a step that failed may work in halves: the device lacked
// memory and still has its cache.
func divisible(step *Step, err error) bool {
	return errors.Is(err, ErrMemory) && !errors.Is(err, ErrCache) && len(step.Rows) > 1
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
