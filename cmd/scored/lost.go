package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// exitLost is the exit status after a device was lost: EX_TEMPFAIL of sysexits.h, for another start may find the
// device well again.
const exitLost = 75

// lostGrace is how long the answers to what was in hand have to reach their clients.
const lostGrace = 5 * time.Second

// lostError tells that a device will not work again in this process. Nothing of it may be closed any more: a plugin
// may hang, or end the process with a signal, when it is asked to free what was on such a device.
type lostError struct{ cause error }

func (e *lostError) Error() string {
	const longest = 500
	cause := []rune(strings.Join(strings.Fields(e.cause.Error()), " "))
	return string(cause[:min(longest, len(cause))]) + ": start the server again, as a container's restartPolicy does; " +
		"if it ends the same way, look after the device (of a GPU, dmesg and nvidia-smi -q tell)"
}

func (e *lostError) Unwrap() error { return e.cause }

// loseDevice lets the answers that tell of the loss go out, and returns the error that ends the process.
func loseDevice(web *http.Server, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lostGrace)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		cause = fmt.Errorf("%w (and some answers were not read in time)", cause)
	}
	return &lostError{cause}
}
