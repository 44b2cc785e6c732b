package score

import (
	"errors"
	"fmt"
	"time"
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

// Lost returns a channel that is closed when a device will never work again in this
// process. By then everything in hand has failed, and nothing more is admitted: the
// caller should end the process. Close may never return after that, because it waits
// for the device.
func (s *Scorer) Lost() <-chan struct{} { return s.queue.over }

// Err returns nil until Lost is closed, and then which device was lost and why.
func (s *Scorer) Err() error {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	if s.queue.lost == nil {
		return nil
	}
	return s.queue.lost.Err
}

// Alive returns nil as long as the process may recover by itself. An error means that
// the process must be ended: a device is lost, or has run one step for longer than
// Config.Watchdog.
func (s *Scorer) Alive() error {
	if err := s.Err(); err != nil {
		return err
	}
	for _, d := range s.devices {
		if err := d.hangs(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// lose fails all jobs in hand and ends the devices' loops. Only the first call has an
// effect.
func (q *queue) lose(device int, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost != nil {
		return
	}
	q.lost = &Error{Kind: Unavailable, Message: "device is lost and this server ends; send the " +
		"request to another replica",
		Err: fmt.Errorf("device %d is lost: %w", device, cause)}
	q.jobs = nil
	for j := range q.inHand {
		q.end(j, q.lost)
	}
	close(q.over)
	q.changed.Broadcast()
}

// judge counts a step's result and reports whether it means that the device is lost.
func (d *device) judge(f *flight, err error) (lost bool) {
	if err == nil {
		d.failures.Store(0)
		return false
	}
	failures := d.failures.Add(1)
	return errors.Is(err, ErrLost) || failures >= lostFailures && f.jobs[0].probe && !errors.Is(err,
		ErrMemory)
}

// watch probes the devices whose steps fail, until the Scorer is closed.
func (s *Scorer) watch() {
	defer close(s.watched)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	probes := map[*device]*job{}
	for {
		select {
		case <-s.closed:
			return
		case <-tick.C:
		}
		for _, d := range s.devices {
			if d.failures.Load() >= manyFailures && (probes[d] == nil || probes[d].answered()) {
				probes[d] = s.probe(d)
			}
		}
	}
}

// probe queues a prompt of one token for the device d alone. It returns nil if the
// queue does not accept it.
func (s *Scorer) probe(d *device) *job {
	one := columns{labels: []int32{0}, of: []int{0}}
	j := newJob(s.ladder, &Request{}, one, [][]int32{{0}}, nil, 0)
	j.device, j.probe = d, true
	if s.queue.push(j) != nil {
		return nil
	}
	return j
}
