package score

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// device is the one goroutine that calls the Engine. A step is formed when the device is free, never on a timer: what
// has queued up in the meantime is the batch.
type device struct {
	engine   Engine
	planner  planner
	queue    *queue
	observe  func(Span)
	watchdog time.Duration

	busySince atomic.Int64 // when the step under way began, in Unix nanoseconds; 0 when idle
	failures  atomic.Int64 // steps that failed in a row
	stopped   chan struct{}
}

// manyFailures steps failing in a row turn readiness red; one that works turns it back.
const manyFailures = 3

func newDevice(engine Engine, p planner, q *queue, watchdog time.Duration, observe func(Span)) *device {
	return &device{engine: engine, planner: p, queue: q, watchdog: watchdog, observe: observe, stopped: make(chan struct{})}
}

// loop runs steps until the queue is closed. It is locked to its OS thread because some devices tie state to the thread.
func (d *device) loop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.stopped)
	for number := int64(1); ; number++ {
		f := d.queue.next(d.planner, d.engine)
		if f == nil {
			return
		}
		start := time.Now()
		d.busySince.Store(start.UnixNano())
		answers, err := d.run(f.step)
		d.busySince.Store(0)
		if err != nil {
			d.failures.Add(1)
			err = &Error{Kind: Internal, Message: "step failed", Err: err}
		} else {
			d.failures.Store(0)
		}
		d.observe(f.span(number, start, err))
		d.queue.settle(f, answers, err)
	}
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
	if since := d.busySince.Load(); since != 0 && now.Sub(time.Unix(0, since)) > d.watchdog {
		return Errorf(Unavailable, "", "step has been running for over %s", d.watchdog)
	}
	if n := d.failures.Load(); n >= manyFailures {
		return Errorf(Unavailable, "", "last %d steps failed", n)
	}
	return nil
}

// span tells of the step; ids are those of the requests with rows in it.
func (f *forming) span(number int64, start time.Time, err error) Span {
	s := Span{Stage: StageStep, Number: number, Start: start, End: time.Now(), Bucket: f.step.Bucket, Rows: len(f.step.Rows),
		Tokens: f.tokens, Err: err}
	for _, t := range f.takes {
		s.Cached += t.count * t.shared
		s.Requests = append(s.Requests, t.group.job.id)
	}
	s.Cached -= f.step.New
	return s
}
