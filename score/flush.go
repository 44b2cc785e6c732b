package score

import (
	"context"
	"slices"
)

// flush is a request to drop the prefixes of every device.
type flush struct {
	done    map[*device]bool
	dropped int
	answer  chan int
}

// flush asks the device goroutine to drop the prefixes, unless there is work in hand.
func (q *queue) flush(ctx context.Context) (int, error) {
	q.mu.Lock()
	if len(q.inHand) > 0 || q.closed || q.lost != nil {
		defer q.mu.Unlock()
		return 0, Errorf(Unavailable, "", "cache not flushed: %d rows wait and %d run; retry when the server is idle", q.waiting(), q.running)
	}
	asked := &flush{done: map[*device]bool{}, answer: make(chan int, 1)}
	q.flushes = append(q.flushes, asked)
	q.changed.Broadcast()
	q.mu.Unlock()
	select {
	case n := <-asked.answer:
		return n, nil
	case <-q.over:
		return 0, q.open()
	case <-ctx.Done():
		return 0, &Error{Kind: Deadline, Message: "request ended before the cache was flushed", Err: context.Cause(ctx)}
	}
}

// answerFlushes does the device's part of what has been asked for; the last device answers.
func (q *queue) answerFlushes(d *device) {
	for _, asked := range q.flushes {
		if !asked.done[d] {
			asked.done[d] = true
			asked.dropped += d.engine.Flush()
		}
		if len(asked.done) == q.devices {
			asked.answer <- asked.dropped
		}
	}
	q.flushes = slices.DeleteFunc(q.flushes, func(asked *flush) bool { return len(asked.done) == q.devices })
}
