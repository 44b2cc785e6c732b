// Package within bounds a call that takes no context by one.
package within

import "context"

// Context calls do and returns its result, or ctx's error as soon as ctx has ended. The
// call itself cannot be stopped: it goes on, on a goroutine of its own, until do
// returns. So Context is for calls that end by themselves, or whose process ends soon.
//
// A result that comes too late goes to drop, which closes it; drop may be nil. drop is
// not called for a result with an error.
func Context[T any](ctx context.Context, do func() (T, error), drop func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	// Unbuffered: either a result is received below, or its sender sees that ctx has ended.
	done := make(chan result)
	go func() {
		value, err := do()
		select {
		case done <- result{value, err}:
		case <-ctx.Done():
			if err == nil && drop != nil {
				drop(value)
			}
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
