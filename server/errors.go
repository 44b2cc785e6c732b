package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scored/score"
	"scored/sglang"
)

// apiError is an answer that is not a success. Its fields are those of sglang-jax's answer; an errorShape gives other
// dialects theirs.
type apiError struct {
	status  int
	kind    string // the envelope's type
	message string
	plainly string        // message for dialects that do not print Python; "" is message
	param   string        // the field at fault, for the header X-Scored-Error-Param
	raw     string        // the whole body, where the peer sends no envelope
	plain   string        // the whole answer as text, where the peer sends no JSON
	cause   error         // for the log; never shown to a client
	busy    bool          // the server has too much in hand
	retry   time.Duration // when there is likely to be room again; 0 if not known
	final   bool          // the same request gets the same answer, though its status invites to try again
}

func (e *apiError) Error() string { return e.message + e.raw + e.plain }

// said is the message in plain words.
func (e *apiError) said() string { return cmp.Or(e.plainly, e.message) }

func (e *apiError) Unwrap() error { return e.cause }

// isFinal tells that to repeat the request is no use. OpenAI's clients read it as X-Should-Retry; without it they repeat
// every 408, 409, 429 and 5xx twice.
func (e *apiError) isFinal() bool {
	return e.final || e.status == http.StatusConflict || e.status == http.StatusNotImplemented || e.status == http.StatusInsufficientStorage
}

// statusGone is what the log and the metrics show for a client that left before its answer; nobody reads it.
const statusGone = 499

func badRequest(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: message}
}

// statuses is what the domain's errors become.
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

// writeError answers with err in sglang-jax's shape.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	s.writeErrorAs(w, r, err, envelope)
}

// writeErrorAs answers with err in the shape and returns the status. What is our fault is told to the log; of the domain's
// the client gets the request id alone.
func (s *Server) writeErrorAs(w http.ResponseWriter, r *http.Request, err error, shape errorShape) int {
	var answer *apiError
	if !errors.As(err, &answer) {
		answer = s.domainError(err, requestID(r))
	}
	if answer.status == http.StatusInternalServerError {
		s.cfg.Logger.Error("request failed", "request", requestID(r), "error", err, "cause", answer.cause)
	}
	if answer.status == http.StatusServiceUnavailable || answer.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(answer.retryAfter()))
	}
	if answer.isFinal() {
		w.Header().Set("X-Should-Retry", "false")
	}
	if answer.param != "" {
		w.Header().Set("X-Scored-Error-Param", answer.param)
	}
	status, body := shape(answer)
	if errors.Is(err, context.Canceled) {
		status = statusGone
	}
	if answer.plain != "" {
		writePlain(w, status, answer.plain)
	} else {
		writeJSON(w, status, body)
	}
	return status
}

// domainError gives an error of the domain its status.
func (s *Server) domainError(err error, id string) *apiError {
	answer := &apiError{status: http.StatusInternalServerError, kind: "InternalServerError"}
	var domain *score.Error
	if errors.As(err, &domain) {
		answer.status, answer.kind = statuses(domain.Kind)
		answer.message, answer.param = domain.Message, domain.Param
		answer.retry = domain.Retry
		answer.final, answer.busy = domain.Kind == score.NotFinite, domain.Kind == score.Overloaded
		s.cfg.Metrics.failure(domain.Kind)
	}
	if answer.status == http.StatusInternalServerError {
		answer.message = "Internal server error: " + strings.TrimSpace(answer.message+" (request "+id+")")
	}
	return answer
}

// retryAfter is in how many seconds to try again, one at least.
func (e *apiError) retryAfter() int { return max(1, int(math.Ceil(e.retry.Seconds()))) }

// detail is an answer of FastAPI's own.
func detail(text string) string { return sglang.JSON(sglang.Object{{Key: "detail", Value: text}}) }

// writeJSON answers with a text that is JSON, as sglang.JSON makes it.
func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone needs no answer
}
