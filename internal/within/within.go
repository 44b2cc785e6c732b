// Package within bounds calls that take no context by one.
package within

import "context"

// Context returns what do does, or ctx's error once ctx has ended. What do is at then goes on until
// it returns by itself, on a goroutine of its own: it is for calls before the end of the process.
// What it returns too late without an error goes to drop, which may be nil.
func Context[T any](ctx context.Context, do func() (T, error), drop func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
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
