package within

import (
	"context"
	"errors"
	"testing"
)

// TestContext: a call that takes long delays no stop, and what it returns too late is
// dropped.
func TestContext(t *testing.T) {
	fault := errors.New("no device")
	for _, c := range []struct {
		err     error
		dropped bool
	}{{nil, true}, {fault, false}} {
		ctx, stop := context.WithCancel(t.Context())
		release, dropped, ended := make(chan struct{}), false, make(chan struct{})
		late := func() (int, error) {
			stop()
			<-release
			if c.err != nil {
				close(ended)
			}
			return 7, c.err
		}
		n, err := Context(ctx, late, func(n int) {
			dropped = n == 7
			close(ended)
		})
		if n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d with %v, want that it is stopped", n, err)
		}
		close(release)
		if <-ended; dropped != c.dropped {
			t.Errorf("what comes late with error %v is dropped: %t", c.err, dropped)
		}
		if n, err := Context(t.Context(), func() (int, error) { return 7, c.err }, nil); n != 7 || !errors.Is(err, c.err) {
			t.Errorf("%d with %v, want 7 with %v", n, err, c.err)
		}
	}
}
