package score

import (
	"runtime"
	"sync/atomic"
	"time"

	"scored/score/plan"
)

// device runs the steps of one Engine. It has two goroutines: loop forms steps and
// gives them to the Engine, settleAll waits for their answers and hands them out.
//
// A step is formed when the device is free, from all that has queued up by then. One
// more step may be queued behind the running one: see mayBegin. A device waits on a
// timer in one case only, for clients that are about to send their next request: see
// worthWaiting.
type device struct {
	index    int
	engine   Engine
	planner  *plan.Planner // queue.planning must be held
	full     int           // tokens of the largest step
	queue    *queue
	observe  func(Span)
	watchdog time.Duration

	// queue.mu must be held for the fields of this group.
	flights []*flight     // steps given to the engine and not settled, in order; at most mostFlights
	waits   *plan.Backlog // waiting rows of jobs that it has begun, or will probably run
	passed  int64         // pushes+steps of the queue when it last left waiting jobs to other devices
	last    stepUse       // of the step that was settled last

	toSettle chan *flight
	epoch    time.Time
	// busySince is when the running step began, in nanoseconds after epoch, by the
	// monotonic clock. It is 0 while the device is idle.
	busySince atomic.Int64
	failures  atomic.Int64 // steps that failed in a row
	stopped   chan struct{}
}

// mostFlights is how many steps an engine has at a time: one that runs and one queued
// behind it.
const mostFlights = 2

// newDevice returns a device whose goroutines have not been started.
func newDevice(index int, engine Engine, planner *plan.Planner, q *queue, watchdog time.Duration,
	observe func(Span)) *device {
	return &device{index: index, engine: engine, planner: planner, queue: q, watchdog: watchdog,
		observe: observe,
		full:    planner.StepTokens(), toSettle: make(chan *flight, mostFlights), epoch: time.Now(),
		stopped: make(chan struct{})}
}

// start starts both goroutines. They end when the queue is closed or a device is lost;
// stopped is closed then.
func (d *device) start() {
	go d.loop()
	go d.settleAll()
}

// loop gives steps to the engine until the queue has no more. It is locked to its OS
// thread because some devices keep state per thread.
func (d *device) loop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.toSettle)
	for {
		f := d.queue.next(d)
		if f == nil {
			return
		}
		d.busySince.CompareAndSwap(0, d.now())
		if f.again {
			f.pending, f.err = d.runHalves(f.Step), nil
		} else {
			f.start = time.Now()
			f.pending, f.err = d.run(f.Step)
			if divisible(f.Step, f.err) && d.queue.runAgain(d, f) {
				continue
			}
		}
		d.wakeNearEnd(f)
		// A step that failed, or that ran again, is not repeated. Read f before it is
		// sent: settleAll may set f.again afterwards.
		last := f.err != nil || f.again
		d.toSettle <- f
		if last {
			<-f.settled // the next step must know what this one did not compute
		}
	}
}

// settleAll waits for the answers of steps, in their order, and hands them out.
func (d *device) settleAll() {
	defer close(d.stopped)
	for f := range d.toSettle {
		start := f.start
		if last := d.epoch.Add(time.Duration(d.busySince.Load())); last.After(start) {
			start = last // it waited for the one before
		}
		answers, err := [][]float32(nil), f.err
		if err == nil {
			answers, err = wait(f.pending, len(f.Step.Rows))
		}
		mayAgain := f.err == nil && !f.again
		if mayAgain && (divisible(f.Step, err) || err == nil && d.queue.missed(f)) &&
			d.queue.runAgain(d, f) {
			continue
		}
		d.settle(f, start, answers, err)
	}
}

// settle judges a step's result, reports it to the observer, and hands it out to the
// jobs.
func (d *device) settle(f *flight, start time.Time, answers [][]float32, err error) {
	lost := d.judge(f, err)
	cause := err
	if err == nil {
		err = d.queue.spoiledBy(f)
	}
	if err != nil {
		err = &Error{Kind: Internal, Message: "step failed", Err: err}
	}
	d.observe(f.span(d.index, start, err))
	if lost {
		d.queue.lose(d.index, cause)
	}
	if err != nil {
		d.queue.forget(d, f, err)
	}
	d.queue.settle(d, f, answers, err)
	close(f.settled)
}

// early is how long after a step's begin the next one is formed: three quarters of its
// predicted duration.
func early(f *flight) time.Duration { return f.Step.Cost() * 3 / 4 }

// nearEnd reports whether f, which is running, is about to end.
func (d *device) nearEnd(f *flight) bool {
	since := d.busySince.Load()
	return since != 0 && time.Duration(d.now()-since) >= early(f)
}

// wakeNearEnd wakes the queue's waiters when f is about to end, if it runs now.
func (d *device) wakeNearEnd(f *flight) { time.AfterFunc(early(f), d.queue.wake) }

// now returns the nanoseconds since epoch. It is at least 1, as 0 means idle in
// busySince.
func (d *device) now() int64 { return max(int64(time.Since(d.epoch)), 1) }

// healthy returns an Unavailable error if the device cannot be expected to answer.
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

// hangs returns an error if the running step has lasted longer than the watchdog
// allows.
func (d *device) hangs(now time.Time) error {
	if since := d.busySince.Load(); since != 0 && now.Sub(d.epoch)-time.Duration(since) > d.watchdog {
		return Errorf(Unavailable, "", "step has been running for over %s", d.watchdog)
	}
	return nil
}
