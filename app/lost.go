package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// lostGrace is how long the answers to what was in hand may take to reach their clients.
const lostGrace = 5 * time.Second

// LostError says that a device will not work again in this process. Nothing of it may be
// closed any more: a plugin may hang, or end the process with a signal, when it is told
// to free what was on such a device. scored ends with status 75 after it, as
// docs/design.md explains.
type LostError struct{ Cause error }

// Error implements error. It is one line, for it is the last of a log.
func (e *LostError) Error() string {
	const longest = 500
	cause := []rune(strings.Join(strings.Fields(e.Cause.Error()), " "))
	return string(cause[:min(longest, len(cause))]) + ": start the server again, as a container's " +
		"restartPolicy does; " +
		"if it ends the same way, check the device (of a GPU: dmesg, nvidia-smi -q)"
}

// Unwrap gives the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// loseDevice lets the answers that report the loss go out, for at most lostGrace, and
// returns the LostError that ends the process.
func loseDevice(web *http.Server, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lostGrace)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		cause = fmt.Errorf("%w (and some answers were not read in time)", cause)
	}
	return &LostError{Cause: cause}
}
