package server

import (
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// accessLog logs every answer in one line, and counts those that are not to probes.
// Probes are logged at level debug, and would hide the requests of clients otherwise.
type accessLog struct {
	panics  *slog.Logger // panics of handlers, with their stacks
	log     *slog.Logger // a line for each answer
	metrics *Metrics
	probes  probes
}

// end ends a request. It must be deferred itself, not from within another function,
// because it turns a panic of the handler into status 500. An answer that has begun
// cannot be taken back; then the panic is only logged.
func (a *accessLog) end(answer *recorder, r *http.Request, begin time.Time) {
	if fault := recover(); fault != nil {
		a.panics.Error("handler panicked", "request", requestID(r), "fault", fault, "stack",
			string(debug.Stack()))
		if answer.status == 0 {
			writePlain(answer, http.StatusInternalServerError, "Internal Server Error")
		}
	}
	took := time.Since(begin)
	level := slog.LevelInfo
	if a.probes.has(r.URL.Path) {
		level = slog.LevelDebug
	} else {
		a.metrics.request(answer.status, took)
	}
	pairs := []any{"method", r.Method, "path", r.URL.Path, "status", answer.status, "bytes",
		answer.bytes, "took", took, "request", requestID(r)}
	if key := keyOf(r); key != "" {
		pairs = append(pairs, "key", key)
	}
	a.log.Log(r.Context(), level, "request", pairs...)
}

// recorder is a ResponseWriter that records the status and size of an answer, for the
// log and the metrics. Only the goroutine of the request's handler may use it.
type recorder struct {
	http.ResponseWriter
	status, bytes int // status is 0 until the answer begins
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. Without a status before it, the status is 200.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += n
	return n, err
}

// WriteString saves io.WriteString a copy of the answer.
func (r *recorder) WriteString(s string) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.WriteString(r.ResponseWriter, s)
	r.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController set deadlines on the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
