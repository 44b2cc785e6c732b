package score

import (
	"context"
	"sync"
)

// underWay counts the steps under way on all devices, from before they are formed until
// they are settled, and can keep devices from beginning more. changed.L must be held for
// its fields.
type underWay struct {
	changed *sync.Cond // of the queue
	service *service   // of the queue
	wake    func()     // makes all that wait on changed look again
	steps   int
	held    bool // no device may begin a step: see hold
}

// begin counts one more step.
func (u *underWay) begin() { u.steps++ }

// end counts one step less.
func (u *underWay) end() {
	u.steps--
	u.changed.Broadcast()
}

// hold keeps devices from beginning a step and waits until none is under way. The caller
// must not hold changed.L, and must call release once.
func (u *underWay) hold(ctx context.Context) (release func(), err error) {
	stop := context.AfterFunc(ctx, u.wake)
	defer stop()
	u.changed.L.Lock()
	defer u.changed.L.Unlock()
	for u.held {
		if err := u.mayHold(ctx); err != nil {
			return nil, err
		}
		u.changed.Wait()
	}
	u.held = true
	for u.steps > 0 {
		if err := u.mayHold(ctx); err != nil {
			u.release()
			return nil, err
		}
		u.changed.Wait()
	}
	if u.service.lost != nil {
		u.release()
		return nil, u.service.lost
	}
	return func() {
		u.changed.L.Lock()
		defer u.changed.L.Unlock()
		u.release()
	}, nil
}

// mayHold returns an error if waiting for the devices is useless: one is lost, or ctx
// has ended. changed.L must be held.
func (u *underWay) mayHold(ctx context.Context) error {
	if u.service.lost != nil {
		return u.service.lost
	}
	if ctx.Err() != nil {
		return &Error{Kind: Deadline, Message: "steps under way did not end in time",
			Err: context.Cause(ctx)}
	}
	return nil
}

// release lets devices begin steps again. changed.L must be held.
func (u *underWay) release() {
	u.held = false
	u.changed.Broadcast()
}
