package score

import (
	"runtime"
	"time"

	"scored/score/plan"
)

// device runs the steps of one Engine. It has two goroutines: loop forms steps and
// gives them to the Engine, settleAll waits for their answers and hands them out.
//
// A step is formed when the device is free or nearly so, or when plenty waits, from all
// jobs that have queued up by then. One more step may be queued behind the running one:
// see queue.mayBegin. A device waits
// on a timer in one case only, for clients that are about to send their next request:
// see returning.
type device struct {
	index   int
	engine  runner
	queue   *queue
	observe func(Span)
	running stopwatch
	health  health

	// queue.mu must be held for the fields of this group.
	flights flights
	waits   *plan.Backlog // waiting rows of jobs that it has begun, or will probably run
	passed  int64         // pushes+steps of the queue when it last left waiting jobs to other devices

	toSettle chan *flight  // from loop to settleAll
	stopped  chan struct{} // closed when both goroutines have ended
}

// newDevice returns a device whose goroutines have not been started.
func newDevice(index int, engine Engine, ladder *plan.Ladder, q *queue, cfg *Config) *device {
	d := &device{index: index, engine: runner{engine}, queue: q, observe: cfg.observe,
		running: stopwatch{epoch: time.Now()}, waits: plan.NewBacklog(ladder),
		toSettle: make(chan *flight, mostFlights), stopped: make(chan struct{})}
	d.health.running, d.health.watchdog = &d.running, cfg.Watchdog
	return d
}

// start starts both goroutines. They end when the queue is closed or a device is lost.
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
		d.running.startIdle()
		if f.again {
			f.pending, f.err = d.engine.runHalves(f.Step), nil
		} else {
			f.start = time.Now()
			f.pending, f.err = d.engine.run(f.Step)
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
			<-f.settled // the next step must know which tokens this one did not compute
		}
	}
}

// settleAll waits for the answers of steps, in their order, and hands them out.
func (d *device) settleAll() {
	defer close(d.stopped)
	for f := range d.toSettle {
		start := f.start
		if began := d.running.began(); began.After(start) {
			start = began // it waited for the one before
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
	lost := d.health.judge(err, f.jobs[0].probe)
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

// nearEnd reports whether the first of the flights runs and is about to end. queue.mu
// must be held.
func (d *device) nearEnd() bool {
	took, runs := d.running.running()
	return runs && took >= d.flights[0].early()
}

// wakeNearEnd wakes the queue's waiters when f is about to end, if it runs now.
func (d *device) wakeNearEnd(f *flight) { time.AfterFunc(f.early(), d.queue.wake) }

// ready returns an Unavailable error if the device cannot be expected to answer.
func (d *device) ready() error {
	select {
	case <-d.stopped:
		return Errorf(Unavailable, "", "device goroutine has ended")
	default:
		return d.health.check()
	}
}
