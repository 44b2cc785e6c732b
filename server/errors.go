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

// said returns the message in plain words.
func (e *apiError) said() string { return cmp.Or(e.plainly, e.message) }

func (e *apiError) Unwrap() error { return e.cause }

// isFinal reports whether repeating the request is useless. OpenAI's clients learn it
// from X-Should-Retry. Without that header they repeat every 408, 409, 429 and 5xx
// twice.
func (e *apiError) isFinal() bool {
	return e.final || e.status == http.StatusConflict || e.status == http.StatusNotImplemented ||
		e.status == http.StatusInsufficientStorage
}

// statusGone is what the log and the metrics show for a client that left before its
// answer. No client receives it.
const statusGone = 499

// badRequest returns an error with status 400 and sglang-jax's words.
func badRequest(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: message}
}

// statuses maps a kind of error to a status and to sglang-jax's name for it.
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

// writeErrorAs answers with err in the shape and returns the status. Internal errors
// are logged in full; the client sees only the request id.
func (s *Server) writeErrorAs(w http.ResponseWriter, r *http.Request, err error,
	shape errorShape) int {
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

// domainError gives an error of package score its status, and counts it.
func (s *Server) domainError(err error, id string) *apiError {
	answer := &apiError{status: http.StatusInternalServerError, kind: "InternalServerError"}
	var domain *score.Error
	if errors.As(err, &domain) {
		answer.status, answer.kind = statuses(domain.Kind)
		answer.message, answer.plainly, answer.param = s.words(domain), domain.Message, domain.Param
		answer.retry = domain.Retry
		answer.final, answer.busy = domain.Kind == score.NotFinite, domain.Kind == score.Overloaded
		s.cfg.Metrics.failure(domain.Kind)
	}
	if answer.status == http.StatusInternalServerError {
		answer.message = "Internal server error: " +
			strings.TrimSpace(answer.message+" (request "+id+")")
		answer.plainly = ""
	}
	return answer
}

// retryAfter returns in how many seconds to try again, at least 1.
func (e *apiError) retryAfter() int { return max(1, int(math.Ceil(e.retry.Seconds()))) }

// detail returns a body in the form of FastAPI's own errors.
func detail(text string) string { return sglang.JSON(sglang.Object{{Key: "detail", Value: text}}) }

// writeJSON answers with text that is JSON already, as sglang.JSON makes it.
func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a failed write means that the client has gone
}

// words are sglang-jax's of an error of the domain.
func (s *Server) words(e *score.Error) string {
	vocab := 0
	if m := s.model.Load(); m != nil {
		vocab = m.BaseVocab
	}
	return sglang.Words(e, vocab)
}
