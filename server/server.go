// Package server speaks the HTTP contract of sglang-jax's Score API over a score.Scorer. It knows no engine.
package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"scored/score"
	"scored/server/internal/python"
)

// Config is what a Server shows and how much it takes.
type Config struct {
	ServedModel   string
	ModelPath     string
	TokenizerPath string
	APIKey        string // "": no key is asked for
	MaxBody       int64  // bytes
	Logger        *slog.Logger
}

// Model is what answers once it has been loaded.
type Model struct {
	Scorer        *score.Scorer
	ContextLength int
	Vocab         int  // token ids that prompts and labels may use
	BaseVocab     int  // the vocabulary size in the peer's label error
	Generated     bool // the weights are made up: every answer says so
}

// Server is the API's http.Handler. It listens before its model is ready and answers 503 until then.
type Server struct {
	cfg    Config
	router chi.Router
	model  atomic.Pointer[Model]
	began  time.Time
}

// New makes a Server without a model.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, router: chi.NewRouter(), began: time.Now()}
	r := s.router
	r.Post("/v1/score", s.handleScore)
	r.Get("/health", s.handleHealth)
	r.Get("/ping", s.handleHealth)
	r.Get("/v1/models", s.handleModels)
	r.Get("/v1/models/*", s.handleModel)
	r.Get("/get_model_info", s.handleModelInfo)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		if path := strings.TrimSuffix(r.URL.Path, "/"); path != r.URL.Path && r.Method != "" && s.router.Match(chi.NewRouteContext(), r.Method, path) {
			w.Header().Set("Location", "http://"+r.Host+path)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		writeJSON(w, http.StatusNotFound, `{"detail":"Not Found"}`)
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusMethodNotAllowed, `{"detail":"Method Not Allowed"}`)
	})
	return s
}

// Serve gives the Server its model. Requests from then on are answered.
func (s *Server) Serve(m *Model) { s.model.Store(m) }

// ServeHTTP implements http.Handler: request id, key, routes, and one log line.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > 128 {
		id = rand.Text()
		r.Header.Set("X-Request-Id", id)
	}
	recorder := &recorder{ResponseWriter: w}
	recorder.Header().Set("X-Request-Id", id)
	if m := s.model.Load(); m != nil && m.Generated {
		recorder.Header().Set("X-Scored-Weights", "generated")
	}
	defer func() {
		if fault := recover(); fault != nil {
			s.cfg.Logger.Error("handler panicked", "request", id, "fault", fault, "stack", string(debug.Stack()))
			if recorder.status == 0 {
				recorder.Header().Set("Content-Type", "text/plain; charset=utf-8")
				recorder.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(recorder, "Internal Server Error")
			}
		}
		s.cfg.Logger.Info("request", "method", r.Method, "path", r.URL.Path, "status", recorder.status, "bytes", recorder.bytes,
			"took", time.Since(begin), "request", id)
	}()
	if !s.authorized(r) {
		writeJSON(recorder, http.StatusUnauthorized, `{"error":"Unauthorized"}`)
		return
	}
	s.router.ServeHTTP(recorder, r)
}

// authorized compares keys in constant time. Probes need none.
func (s *Server) authorized(r *http.Request) bool {
	if s.cfg.APIKey == "" || r.Method == http.MethodOptions || strings.HasPrefix(r.URL.Path, "/health") || strings.HasPrefix(r.URL.Path, "/metrics") {
		return true
	}
	got, want := sha256.Sum256([]byte(r.Header.Get("Authorization"))), sha256.Sum256([]byte("Bearer "+s.cfg.APIKey))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// recorder remembers what was answered, for the log.
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

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (s *Server) handleScore(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	m := s.model.Load()
	if m == nil {
		s.writeError(w, id, score.Errorf(score.Unavailable, "", "model is loading; retry later"))
		return
	}
	data, err := s.readBody(w, r)
	if err != nil {
		s.writeError(w, id, err)
		return
	}
	b, err := decodeBody(r.Header.Values("Content-Type"), data)
	if err != nil {
		s.writeError(w, id, err)
		return
	}
	req, err := b.request(id, m.BaseVocab, m.Vocab)
	if err != nil {
		s.writeError(w, id, err)
		return
	}
	result, err := m.Scorer.Score(r.Context(), req)
	if err != nil {
		s.writeError(w, id, err)
		return
	}
	writeJSON(w, http.StatusOK, success(result.Scores, string(b.model)))
}

// readBody reads at most MaxBody bytes; a larger body is refused unread where its length is announced.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := score.Errorf(score.TooLarge, "", "body is larger than %d bytes; split the request", s.cfg.MaxBody)
	if r.ContentLength > s.cfg.MaxBody {
		return nil, tooLarge
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		return nil, &score.Error{Kind: score.Deadline, Message: "body ended before it was whole", Err: err}
	}
	return data, nil
}

// success is the body of a scored request, as json.dumps writes it: keys in this order, floats as Python prints them.
func success(scores [][]float64, model string) string {
	var b strings.Builder
	b.WriteString(`{"scores":[`)
	for i, row := range scores {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		for k, v := range row {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(python.Float(v))
		}
		b.WriteByte(']')
	}
	b.WriteString(`],"model":` + quote(model) + `,"usage":null,"object":"scoring"}`)
	return b.String()
}
