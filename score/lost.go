package score

import (
	"errors"
	"fmt"
	"time"
)

// A device whose steps fail is watched: from manyFailures in a row on, Ready is an error and the device gets a
// probe every probeEvery, a step of one token that no client has asked for. So a device that works again is
// found out without traffic, and a request that always fails cannot look like a device that does. A probe that
// fails as number lostFailures in a row, or later, or any step that fails with ErrLost, means that the device
// is lost. A device that only lacks memory is not lost.
const (
	manyFailures = 3
	lostFailures = 10
	probeEvery   = time.Second
)

// Lost is closed when a device will never work again in this process. Everything in hand has failed by then,
// and nothing more is admitted: end the process. Close may not return any more, as a device may never do.
func (s *Scorer) Lost() <-chan struct{} { return s.queue.over }

// Err is nil until Lost is closed, and then says which device was lost and by what.
func (s *Scorer) Err() error {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	if s.queue.lost == nil {
		return nil
	}
	return s.queue.lost.Err
}

// Alive is nil as long as the process may heal by itself. Else it must be ended: a device is lost, or has been
// at one step for longer than Config.Watchdog.
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

// lose fails everything in hand, once, and ends the devices' loops.
func (q *queue) lose(device int, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost != nil {
		return
	}
	q.lost = &Error{Kind: Unavailable, Message: "device is lost and this server ends; send the request to another replica",
		Err: fmt.Errorf("device %d is lost: %w", device, cause)}
	q.jobs = nil
	for j := range q.inHand {
		q.end(j, q.lost)
	}
	close(q.over)
	q.changed.Broadcast()
}

// judge counts a step's result and tells whether it means that the device is lost.
func (d *device) judge(f *flight, err error) (lost bool) {
	if err == nil {
		d.failures.Store(0)
		return false
	}
	failures := d.failures.Add(1)
	return errors.Is(err, ErrLost) || failures >= lostFailures && f.jobs[0].probe && !errors.Is(err, ErrMemory)
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

// probe queues a prompt of one token for the device alone; nil if the queue takes nothing.
func (s *Scorer) probe(d *device) *job {
	one := columns{labels: []int32{0}, of: []int{0}}
	j := newJob(s.ladder, &Request{}, one, [][]int32{{0}}, nil, 0)
	j.device, j.probe = d, true
	if s.queue.push(j) != nil {
		return nil
	}
	return j
}
