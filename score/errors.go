package score

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Kind says what went wrong, in the terms of the domain. Transport statuses are the server's business.
type Kind int

const (
	Internal    Kind = iota // our fault; the client gets no detail
	Invalid                 // the request cannot be scored, now or later
	Overloaded              // the queue is full; the same request may succeed later
	Unavailable             // starting, draining or broken
	Deadline                // the client's deadline passed, or the client left, before the rows ran
	TooLarge                // the request is larger than this server accepts
	NotFinite               // the model produced NaN for this row
)

// Error is an error a client may read: one sentence, lower-case unless the contract fixes it otherwise.
type Error struct {
	Kind    Kind
	Message string
	Param   string        // the request field at fault, e.g. "items[3]"; "" if none
	Retry   time.Duration // Overloaded: when there is likely to be room for the request; 0 if not known
	Err     error         // the cause, for the log only; never shown to a client
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a cause.
func Errorf(kind Kind, param, format string, args ...any) *Error {
	return &Error{Kind: kind, Param: param, Message: fmt.Sprintf(format, args...)}
}

// guard turns a panic in do into an Internal error with the stack. On a goroutine an unhandled one would end the process.
func guard(message string, do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = &Error{Kind: Internal, Message: message, Err: fmt.Errorf("panic: %v\n%s", fault, debug.Stack())}
		}
	}()
	return do()
}
