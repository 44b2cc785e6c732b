package server

import (
	"cmp"
	"math"
	"net/http"
	"time"

	"scored/score"
)

// apiError is an answer that is not a success. Its fields are those of sglang-jax's
// answer; an errorShape turns them into another dialect's.
type apiError struct {
	status  int
	kind    string // the envelope's type
	message string
	plainly string        // message for dialects that do not print Python; "": message
	param   string        // field at fault, for the header X-Scored-Error-Param
	raw     string        // the whole body, where sglang-jax sends no envelope
	plain   string        // the whole answer as text, where sglang-jax sends no JSON
	cause   error         // for the log; never shown to a client
	busy    bool          // the server has too much in hand
	retry   time.Duration // when there will probably be room; 0 if not known
	final   bool          // a retry would get the same answer, though the status suggests one
}

func (e *apiError) Error() string { return e.message + e.raw + e.plain }

func (e *apiError) Unwrap() error { return e.cause }

// said returns the message in plain words.
func (e *apiError) said() string { return cmp.Or(e.plainly, e.message) }

// isFinal reports whether repeating the request is useless. OpenAI's clients learn it
// from X-Should-Retry. Without that header they repeat every 408, 409, 429 and 5xx
// twice.
func (e *apiError) isFinal() bool {
	return e.final || e.status == http.StatusConflict || e.status == http.StatusNotImplemented ||
		e.status == http.StatusInsufficientStorage
}

// retryAfter returns in how many seconds to try again, at least 1.
func (e *apiError) retryAfter() int { return max(1, int(math.Ceil(e.retry.Seconds()))) }

// statusGone is the status that the log and the metrics show for a client that left
// before its answer. No client receives it. nginx introduced the number.
const statusGone = 499

// statuses maps a kind of error to a status and to sglang-jax's name for it. It is the
// one table of statuses for kinds.
func statuses(kind score.Kind) (status int, name string) {
	switch kind {
	case score.Invalid:
		return http.StatusBadRequest, "BadRequestError"
	case score.TooLarge:
		return http.StatusRequestEntityTooLarge, "BadRequestError"
	case score.Overloaded, score.Unavailable:
		return http.StatusServiceUnavailable, "ServiceUnavailableError"
	case score.Deadline:
		return http.StatusGatewayTimeout, "TimeoutError"
	default:
		return http.StatusInternalServerError, "InternalServerError"
	}
}

// badRequest returns an error with status 400 and sglang-jax's words.
func badRequest(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: message}
}

// errLoading returns the error of a request that comes before the model is loaded.
func errLoading() error {
	return score.Errorf(score.Unavailable, "", "model is loading; retry later")
}
