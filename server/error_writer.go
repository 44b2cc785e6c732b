package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"scored/score"
)

// errorWriter answers requests that cannot be served. All handlers share one. An error
// that is no *apiError and no *score.Error is the server's own fault.
type errorWriter struct {
	log     *slog.Logger // of errors with status 500
	metrics *Metrics
	model   *modelSlot
}

// whenLoaded returns a handler that calls handle with the model, or answers that the
// model is still loading.
func (e *errorWriter) whenLoaded(
	handle func(http.ResponseWriter, *http.Request, *loaded)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m := e.model.Load()
		if m == nil {
			e.write(w, r, errLoading())
			return
		}
		handle(w, r, m)
	}
}

// write answers with err in sglang-jax's shape.
func (e *errorWriter) write(w http.ResponseWriter, r *http.Request, err error) {
	e.writeAs(w, r, err, envelope)
}

// writeAs answers with err in the shape and returns the status. Internal errors are
// logged in full; the client sees only the request id. The headers are the same in every
// shape: when to come back, whether a retry is useless, and the field at fault.
func (e *errorWriter) writeAs(w http.ResponseWriter, r *http.Request, err error,
	shape errorShape) int {
	var answer *apiError
	if !errors.As(err, &answer) {
		answer = e.answerTo(err, requestID(r))
	}
	if answer.status == http.StatusInternalServerError {
		e.log.Error("request failed", "request", requestID(r), "error", err, "cause", answer.cause)
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
	if errors.Is(err, context.Canceled) { // of a deadline it is DeadlineExceeded
		status = statusGone
	}
	if answer.plain != "" {
		writePlain(w, status, answer.plain)
	} else {
		writeJSON(w, status, body)
	}
	return status
}

// answerTo gives an error of package score its status, and counts it. Any other error is
// the server's own fault: status 500, with the request id in place of the error's text.
func (e *errorWriter) answerTo(err error, id string) *apiError {
	answer := &apiError{status: http.StatusInternalServerError, kind: "InternalServerError"}
	var domain *score.Error
	if errors.As(err, &domain) {
		answer.status, answer.kind = statuses(domain.Kind)
		answer.message, answer.plainly = e.model.Load().words(domain), domain.Message
		answer.param, answer.retry = domain.Param, domain.Retry
		answer.final, answer.busy = domain.Kind == score.NotFinite, domain.Kind == score.Overloaded
		e.metrics.failure(domain.Kind)
	}
	if answer.status == http.StatusInternalServerError {
		answer.message = "Internal server error: " +
			strings.TrimSpace(answer.message+" (request "+id+")")
		answer.plainly = ""
	}
	return answer
}
