package score

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// device is the one goroutine that calls its Engine. A step is formed when the device is free, never on a timer: what
// has queued up in the meantime is the batch.
type device struct {
	index    int
	engine   Engine
	planner  planner
	queue    *queue
	observe  func(Span)
	watchdog time.Duration

	epoch     time.Time
	busySince atomic.Int64 // when the step under way began, in nanoseconds after epoch, which no clock change moves; 0 when idle
	failures  atomic.Int64 // steps that failed in a row
	stopped   chan struct{}
}

func newDevice(index int, engine Engine, p planner, q *queue, watchdog time.Duration, observe func(Span)) *device {
	return &device{index: index, engine: engine, planner: p, queue: q, watchdog: watchdog, observe: observe, epoch: time.Now(), stopped: make(chan struct{})}
}

// loop runs steps until the queue is closed. It is locked to its OS thread because some devices tie state to the thread.
func (d *device) loop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.stopped)
	for {
		f := d.queue.next(d)
		if f == nil {
			return
		}
		start := time.Now()
		d.busySince.Store(max(int64(start.Sub(d.epoch)), 1))
		answers, err := d.runWhole(f.step)
		d.busySince.Store(0)
		lost := d.judge(f, err)
		cause := err
		if err != nil {
			err = &Error{Kind: Internal, Message: "step failed", Err: err}
		}
		span := f.span(start, err)
		span.Device = d.index
		d.observe(span)
		if lost {
			d.queue.lose(d.index, cause)
		}
		d.queue.settle(f, answers, err)
	}
}

// runWhole runs the step or, if the device has no memory for it, its halves.
func (d *device) runWhole(step *Step) ([][]float32, error) {
	answers, err := d.run(step)
	if !errors.Is(err, ErrMemory) || len(step.Rows) < 2 {
		return answers, err
	}
	first, second := step.halves()
	if answers, err = d.run(first); err != nil {
		return nil, fmt.Errorf("half of a step: %w", err)
	}
	more, err := d.run(second)
	if err != nil {
		return nil, fmt.Errorf("half of a step: %w", err)
	}
	return append(answers, more...), nil
}

// halves splits the rows. The first half computes the prefix, if there is something new of it, and the second uses it.
func (s *Step) halves() (*Step, *Step) {
	first, second := *s, *s
	n := len(s.Rows) / 2
	first.Rows, second.Rows = s.Rows[:n], s.Rows[n:]
	if s.New > 0 {
		second.Base, second.Kept, second.New = s.Prefix, len(s.Prefix.Tokens), 0
	}
	return &first, &second
}

// form puts the next step together.
func (d *device) form(jobs []*job) (f *forming, err error) {
	err = guard("step cannot be formed", func() error {
		f = d.planner.form(jobs, d.engine)
		return nil
	})
	return f, err
}

// run calls the Engine. A panic in it fails this step, not the process.
func (d *device) run(step *Step) (answers [][]float32, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("engine panicked: %v\n%s", fault, debug.Stack())
		}
	}()
	answers, err = d.engine.Run(step)
	if err == nil && len(answers) != len(step.Rows) {
		err = fmt.Errorf("engine answered %d of %d rows", len(answers), len(step.Rows))
	}
	return answers, err
}

func (d *device) healthy(now time.Time) error {
	select {
	case <-d.stopped:
		return Errorf(Unavailable, "", "device goroutine has ended")
	default:
	}
	if err := d.hangs(now); err != nil {
		return err
	}
	if n := d.failures.Load(); n >= manyFailures {
		return Errorf(Unavailable, "", "last %d steps failed", n)
	}
	return nil
}

// hangs is an error if the step under way has lasted too long.
func (d *device) hangs(now time.Time) error {
	if since := d.busySince.Load(); since != 0 && now.Sub(d.epoch)-time.Duration(since) > d.watchdog {
		return Errorf(Unavailable, "", "step has been running for over %s", d.watchdog)
	}
	return nil
}

// span tells of the step; ids are those of the requests with rows in it.
func (f *forming) span(start time.Time, err error) Span {
	s := Span{Stage: StageStep, Number: f.number, Start: start, End: time.Now(), Bucket: f.step.Bucket, Rows: len(f.step.Rows),
		Tokens: f.tokens, Err: err}
	for _, t := range f.takes {
		s.Cached += t.count * t.shared
		s.Requests = append(s.Requests, t.group.job.id)
	}
	s.Cached -= f.step.New
	return s
}
