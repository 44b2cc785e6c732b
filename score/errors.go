package score

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Kind is the kind of an Error, in terms of the domain. The server maps it to a status.
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

// Error is an error that a client may read. Its message is one sentence that ends with
// the remedy, in plain words that begin in lower case.
type Error struct {
	Kind    Kind
	Message string
	Param   string        // the request field at fault, e.g. "items[3]"; "" if none
	Reason  Reason        // why, where a dialect may have a sentence of its own for it; else nil
	Retry   time.Duration // Overloaded: time until the request will probably fit; 0 if not known
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

// Reason is why a request cannot be scored, as a value: NoLabels, NoToken, MixedKinds or
// TooLong.
type Reason any

// because gives the error a reason.
func (e *Error) because(reason Reason) *Error {
	e.Reason = reason
	return e
}

// guard calls do and turns a panic into an Internal error with the stack. An unhandled
// panic on a goroutine would end the process.
func guard(message string, do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = &Error{Kind: Internal, Message: message,
				Err: fmt.Errorf("panic: %v\n%s", fault, debug.Stack())}
		}
	}()
	return do()
}
