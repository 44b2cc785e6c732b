package score

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"scored/score/plan"
)

// Devices whose steps fail are watched. After manyFailures failures in a row Ready
// returns an error, and the device gets a probe every probeEvery: a step of one token
// that no client has asked for. So a device that recovers is noticed without traffic,
// and a request that always fails does not make a good device look lost.
//
// A device is lost if a step fails with ErrLost, or if a probe fails as number
// lostFailures in a row or later. A device that only lacks memory is not lost.
const (
	manyFailures = 3
	lostFailures = 10
	probeEvery   = time.Second
)

// health judges a device by its steps. It needs no lock.
type health struct {
	running  *stopwatch
	watchdog time.Duration // Config.Watchdog
	failures atomic.Int64  // steps that failed in a row
}

// judge counts a step's result and reports whether it means that the device is lost.
// probe says that the step was a probe.
func (h *health) judge(err error, probe bool) (lost bool) {
	if err == nil {
		h.failures.Store(0)
		return false
	}
	failures := h.failures.Add(1)
	return errors.Is(err, ErrLost) ||
		failures >= lostFailures && probe && !errors.Is(err, ErrMemory)
}

// fails reports whether so many steps have failed that the device must be probed.
func (h *health) fails() bool { return h.failures.Load() >= manyFailures }

// check returns an Unavailable error if the device cannot be expected to answer.
func (h *health) check() error {
	if err := h.hangs(); err != nil {
		return err
	}
	if n := h.failures.Load(); n >= manyFailures {
		return Errorf(Unavailable, "", "last %d steps failed", n)
	}
	return nil
}

// hangs returns an Unavailable error if the running step has lasted longer than the
// watchdog allows.
func (h *health) hangs() error {
	if took, runs := h.running.running(); runs && took > h.watchdog {
		return Errorf(Unavailable, "", "step has been running for over %s", h.watchdog)
	}
	return nil
}

// prober probes the devices whose steps fail, in a goroutine of its own.
type prober struct {
	queue   *queue
	ladder  *plan.Ladder
	stop    chan struct{} // closed by close
	once    sync.Once     // closes stop
	stopped chan struct{} // closed when run has ended
}

func newProber(q *queue, ladder *plan.Ladder) *prober {
	return &prober{queue: q, ladder: ladder, stop: make(chan struct{}), stopped: make(chan struct{})}
}

// run probes until close is called.
func (p *prober) run() {
	defer close(p.stopped)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	probes := map[*device]*job{}
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		for _, d := range p.queue.devices {
			if d.health.fails() && (probes[d] == nil || probes[d].answered()) {
				probes[d] = p.probe(d)
			}
		}
	}
}

// probe queues a prompt of one token for the device d alone. It returns nil if the
// queue does not accept it.
func (p *prober) probe(d *device) *job {
	one := columns{labels: []int32{0}, of: []int{0}}
	j := newJob(p.ladder, &Request{}, one, [][]int32{{0}}, nil, 0)
	j.device, j.probe = d, true
	if p.queue.push(j) != nil {
		return nil
	}
	return j
}

// close ends the goroutine and waits for it. It may be called more than once.
func (p *prober) close() {
	p.once.Do(func() { close(p.stop) })
	<-p.stopped
}
