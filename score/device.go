package score

import (
	"runtime"
	"sync/atomic"
	"time"

	"scored/score/plan"
)

// device is the goroutine that forms steps and gives them to its Engine, and the one that takes their answers. A step is
// formed when the device is free: what has queued up in the meantime is the batch. It waits on a timer for those alone who
// are about to come back: see betterLater. One more may be queued behind the step that runs: see mayBegin.
type device struct {
	index    int
	engine   Engine
	planner  *plan.Planner // queue.planning must be held
	full     int           // tokens that fill the largest step
	queue    *queue
	observe  func(Span)
	watchdog time.Duration

	// queue.mu must be held for these.
	flights []*flight     // given to the engine and not settled, in their order; at most mostFlights
	waits   *plan.Backlog // what waits of jobs that it has begun, or is likely to
	passed  int64         // queue.pushes and steps when it last left what waits to other devices
	last    turn          // of the step that was settled last

	toSettle  chan *flight
	epoch     time.Time
	busySince atomic.Int64 // when the step that runs began, in nanoseconds after epoch, which no clock change moves; 0 when idle
	failures  atomic.Int64 // steps that failed in a row
	stopped   chan struct{}
}

// mostFlights is how many steps an engine has at a time: one that runs, and one queued behind it.
const mostFlights = 2

func newDevice(index int, engine Engine, planner *plan.Planner, q *queue, watchdog time.Duration, observe func(Span)) *device {
	return &device{index: index, engine: engine, planner: planner, queue: q, watchdog: watchdog, observe: observe,
		full: planner.StepTokens(), toSettle: make(chan *flight, mostFlights), epoch: time.Now(), stopped: make(chan struct{})}
}

// start starts both goroutines. They end when the queue is closed or a device is lost, and close stopped.
func (d *device) start() {
	go d.loop()
	go d.settleAll()
}

// loop gives steps to the engine. It is locked to its OS thread because some devices tie state to the thread.
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
		last := f.err != nil || f.again // nobody asks for it to run once more; asked here, as settleAll may ask of others
		d.toSettle <- f
		if last {
			<-f.settled // what a step did not compute must be known before the next is formed
		}
	}
}

// settleAll takes the answers of steps, in their order, and hands them out.
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
		if mayAgain && (divisible(f.Step, err) || err == nil && d.queue.missed(f)) && d.queue.runAgain(d, f) {
			continue
		}
		d.settle(f, start, answers, err)
	}
}

// settle counts a step's result, tells of it, and hands it out.
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

// early is after what part of a step's predicted time the next one is formed.
func early(f *flight) time.Duration { return f.Step.Cost() * 3 / 4 }

// nearEnd tells whether the step that runs is about to end.
func (d *device) nearEnd(f *flight) bool {
	since := d.busySince.Load()
	return since != 0 && time.Duration(d.now()-since) >= early(f)
}

// wakeNearEnd has the queue look again when the step is about to end, if it runs now.
func (d *device) wakeNearEnd(f *flight) { time.AfterFunc(early(f), d.queue.wake) }

// now is the time since epoch, and never 0.
func (d *device) now() int64 { return max(int64(time.Since(d.epoch)), 1) }

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
