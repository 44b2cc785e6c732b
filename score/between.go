package score

import "context"

// BetweenSteps calls do while no device runs a step, and lets none begin until do
// returns. Steps that were queued on a device have ended too, so the devices are idle.
// Requests are still admitted and wait in the queue.
//
// If ctx ends before the steps in flight have, or a device is lost, do is not called
// and the error says why. After Close, do is called as soon as the last step has ended.
// It returns do's error unchanged.
func (s *Scorer) BetweenSteps(ctx context.Context, do func() error) error {
	release, err := s.queue.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return do()
}

// hold keeps devices from beginning a step and waits until none runs. The caller must
// call release once.
func (q *queue) hold(ctx context.Context) (release func(), err error) {
	stop := context.AfterFunc(ctx, q.wake)
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.held {
		if err := q.mayHold(ctx); err != nil {
			return nil, err
		}
		q.changed.Wait()
	}
	q.held = true
	for q.busy > 0 {
		if err := q.mayHold(ctx); err != nil {
			q.releaseLocked()
			return nil, err
		}
		q.changed.Wait()
	}
	if q.lost != nil {
		q.releaseLocked()
		return nil, q.lost
	}
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.releaseLocked()
	}, nil
}

// mayHold returns an error if waiting for the devices is useless: one is lost, or ctx
// has ended. q.mu must be held.
func (q *queue) mayHold(ctx context.Context) error {
	if q.lost != nil {
		return q.lost
	}
	if ctx.Err() != nil {
		return &Error{Kind: Deadline, Message: "steps under way did not end in time",
			Err: context.Cause(ctx)}
	}
	return nil
}

// releaseLocked lets devices begin steps again. q.mu must be held.
func (q *queue) releaseLocked() {
	q.held = false
	q.changed.Broadcast()
}
