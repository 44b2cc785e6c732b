package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"scored/sglang"
)

// ServeHTTP implements http.Handler. Around every route it handles the request id, the
// API key, origins, panics, the metrics and the access log.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	if id := requestID(r); id == "" || len(id) > 128 {
		r.Header.Set("X-Request-Id", rand.Text())
	}
	answer := &recorder{ResponseWriter: w}
	answer.Header().Set("X-Request-Id", requestID(r))
	if m := s.model.Load(); m != nil && m.Generated {
		answer.Header().Set("X-Scored-Weights", "generated")
	}
	by, authorized := s.authorized(r)
	if by != (caller{}) {
		r = by.with(r)
	}
	defer s.account(answer, r, begin)
	if !authorized {
		answer.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(answer, http.StatusUnauthorized,
			sglang.JSON(sglang.Object{{Key: "error", Value: "Unauthorized"}}))
		return
	}
	if !s.crossOrigin(answer, r) {
		s.router.ServeHTTP(answer, r)
	}
}

// requestID returns the request's id. ServeHTTP makes one if the client sent none.
func requestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }

// account ends a request: it turns a panic into status 500, logs the request and,
// unless it is a probe, counts it.
func (s *Server) account(answer *recorder, r *http.Request, begin time.Time) {
	if fault := recover(); fault != nil {
		s.cfg.Logger.Error("handler panicked", "request", requestID(r), "fault", fault, "stack",
			string(debug.Stack()))
		if answer.status == 0 {
			writePlain(answer, http.StatusInternalServerError, "Internal Server Error")
		}
	}
	took := time.Since(begin)
	level := slog.LevelInfo
	if s.isProbe(r.URL.Path) {
		level = slog.LevelDebug
	} else {
		s.cfg.Metrics.request(answer.status, took)
	}
	pairs := []any{"method", r.Method, "path", r.URL.Path, "status", answer.status, "bytes",
		answer.bytes, "took", took, "request", requestID(r)}
	if key := keyOf(r); key != "" {
		pairs = append(pairs, "key", key)
	}
	s.cfg.Access.Log(r.Context(), level, "request", pairs...)
}

// isProbe reports whether machines request the path every few seconds. Such requests
// would hide those of clients in the log and the metrics.
func (s *Server) isProbe(path string) bool {
	return path == s.cfg.HealthRoute && path != "" || strings.HasPrefix(path, "/health") ||
		strings.HasPrefix(path, "/metrics") ||
		path == "/livez" || path == "/readyz" || path == "/ping"
}

// authorized reports whether a request may be answered, and whose key it has. It
// compares keys in constant time. Preflights need no key. Probes need none, except
// /ping, which sglang-jax protects: Config.KeylessPing decides.
func (s *Server) authorized(r *http.Request) (by caller, ok bool) {
	open := s.isProbe(r.URL.Path) && (r.URL.Path != "/ping" || s.cfg.KeylessPing)
	// A host may set the probe's and the predict route to the same path.
	open = open && (r.URL.Path != s.cfg.PredictRoute || r.Method != http.MethodPost)
	if s.cfg.APIKey == "" && s.cfg.Keys == nil || r.Method == http.MethodOptions || open {
		return by, true
	}
	header := r.Header.Get("Authorization")
	if s.cfg.Keys != nil {
		if by, ok := s.cfg.Keys.find(header); ok {
			return by, true
		}
	}
	got, want := sha256.Sum256([]byte(header)), sha256.Sum256([]byte("Bearer "+s.cfg.APIKey))
	if s.cfg.APIKey == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return by, false
	}
	by.hash = sha256.Sum256([]byte(s.cfg.APIKey))
	return by, true
}

// corsMethods are the methods that sglang-jax allows to pages of another origin.
const corsMethods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

// crossOrigin allows pages of the configured origins to call, and answers a browser's
// preflight. It reports whether it has answered. Protocol:
// https://fetch.spec.whatwg.org/#http-cors-protocol.
func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || len(s.cfg.CORSOrigins) == 0 {
		return false
	}
	method := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && method != ""
	all := slices.Contains(s.cfg.CORSOrigins, "*")
	if !all && !slices.Contains(s.cfg.CORSOrigins, origin) {
		if preflight {
			writePlain(w, http.StatusBadRequest, "Disallowed CORS origin")
		}
		return preflight
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Credentials", "true")
	if h.Set("Access-Control-Allow-Origin", origin); all && !preflight &&
		r.Header.Get("Cookie") == "" {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Add("Vary", "Origin")
	}
	if !preflight {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Max-Age", "600")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if !slices.Contains(strings.Split(corsMethods, ", "), method) {
		writePlain(w, http.StatusBadRequest, "Disallowed CORS method")
		return true
	}
	writePlain(w, http.StatusOK, "OK")
	return true
}

// recorder records the status and size of an answer, for the log and the metrics.
type recorder struct {
	http.ResponseWriter
	status, bytes int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

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

// writePlain answers with plain text.
func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a failed write means that the client has gone
}

// writeBare answers without a content type, as sglang-jax's plain responses do. The nil
// keeps net/http from guessing one.
func writeBare(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
