// Package server speaks the HTTP contract of sglang-jax's Score API, and the dialects
// of other servers' clients, over a score.Scorer. A body becomes a score.Request, and a
// score.Result becomes an answer. The package must not know engines, tensors, plugins
// or tokenizers.
//
// Begin with New and Server.route. All requests for scores go through handle; a dialect
// holds what differs between them.
package server

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"scored/profile"
	"scored/prompt"
	"scored/score"
)

// Config configures a Server. Fields are required unless their comment gives a zero
// value a meaning.
type Config struct {
	ServedModel   string
	ModelPath     string
	TokenizerPath string
	Sampling      string // JSON value shown as preferred_sampling_params; "" shows null
	Version       string

	APIKey            string        // "" and Keys nil: no key is required
	Keys              *Keys         // further keys, which must have been read; nil: none
	MaxBody           int64         // bytes of a body, decompressed
	MaxHeld           int64         // bytes of all bodies in hand, compressed and not; 0: no limit
	BodyTimeout       time.Duration // time for a body to arrive; 0: no limit
	MaxClientRequests int           // requests of one client in hand; 0: no limit
	RequestTimeout    time.Duration // from a request's first byte to its answer; 0: no limit
	HealthTimeout     time.Duration // of /health_generate; 0: 20 seconds
	CORSOrigins       []string      // origins that browsers may call from, "*" for all; nil: none
	StrictEmptyItems  bool          // refuse items [] instead of answering scores []
	EmulateSGLang     bool          // answer profiling errors as sglang-jax does: 500, no reason
	DisableDocs       bool          // no /openapi.json and /docs

	// Template holds the texts of /v1/score and /generative_scoring; nil: texts are
	// scored as sent.
	Template *prompt.Template

	HealthRoute  string // another path of /health, which needs no key; "": none
	PredictRoute string // a path for all dialects, Vertex AI's included; "": none
	KeylessPing  bool   // /ping needs no key

	SaltByKey bool // cached prefixes are shared only by requests with the same key

	Metrics *Metrics // nil: /metrics is 404
	Logger  *slog.Logger
	Access  *slog.Logger // a line for each request; nil: Logger
}

// Model is a loaded model. The Server owns it after Serve.
type Model struct {
	Scorer        *score.Scorer
	Settings      []Setting         // shown by /get_server_info, in this order
	Words         Words             // nil: labels must be ids, and nothing can be reranked
	Profiler      *profile.Profiler // nil: profiling requests get 501
	Observer      score.Observer    // receives spans of reading and replying; nil: none
	ContextLength int
	Vocab         int  // prompts and labels may use ids 0..Vocab-1
	BaseVocab     int  // vocabulary size in sglang-jax's error for labels
	Generated     bool // weights are generated: every answer says so in a header

	template   rerankTemplate
	noTemplate error // why the model cannot rerank; nil if it can
	prompt     *prompt.Template
}

// Words is what the server itself needs of the model's tokenizer. It must be safe for
// concurrent use.
type Words interface {
	score.Encoder
	// Single returns the id of a text that is exactly one token, or an error that lists
	// its tokens.
	Single(text string) (int32, error)
	// Tokens returns the ids of a text that continues another: without those that a
	// tokenizer puts around a text.
	Tokens(text string) ([]int32, error)
}

// Server is the http.Handler of the API. It can listen before its model is loaded, and
// answers 503 until then.
type Server struct {
	cfg    Config
	router chi.Router
	model  atomic.Pointer[Model]

	clients clients
	held    held
}

// New returns a Server without a model.
func New(cfg Config) *Server {
	if cfg.HealthTimeout == 0 {
		cfg.HealthTimeout = 20 * time.Second
	}
	if cfg.Access == nil {
		cfg.Access = cfg.Logger
	}
	s := &Server{cfg: cfg, router: chi.NewRouter(), clients: clients{most: cfg.MaxClientRequests},
		held: held{most: cfg.MaxHeld}}
	s.route()
	cfg.Metrics.watch(s)
	return s
}

// Serve gives the Server its model, which it then owns. Requests are answered from then
// on. It must be called at most once.
func (s *Server) Serve(m *Model) {
	m.template, m.noTemplate = m.rerankTemplate()
	m.prompt = m.fitTemplate(s.cfg.Template)
	s.model.Store(m)
}

// route adds all routes to the router.
func (s *Server) route() {
	r := s.router

	s.read("/livez", s.handleAlive)
	for _, path := range []string{"/health", "/readyz", "/ping"} {
		s.read(path, s.handleReady)
	}
	if route := s.cfg.HealthRoute; route != "" &&
		!slices.Contains([]string{"/livez", "/health", "/readyz", "/ping", "/health_generate"}, route) {
		s.read(route, s.handleReady)
	}
	s.read("/health_generate", s.handleGenerate)
	s.read("/v1/models", s.handleModels)
	s.read("/v1/models/*", s.handleModel)
	s.read("/get_model_info", s.handleModelInfo)
	s.read("/get_server_info", s.handleServerInfo)
	s.read("/get_load", s.handleLoad)
	s.read("/info", s.handleInfo)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r.Method(method, "/flush_cache", http.HandlerFunc(s.handleFlush))
		r.Method(method, "/start_profile", http.HandlerFunc(s.handleStartProfile))
		r.Method(method, "/stop_profile", http.HandlerFunc(s.handleStopProfile))
	}
	s.read("/profile_status", s.handleProfileStatus)
	if s.cfg.Metrics != nil {
		s.read("/metrics", s.cfg.Metrics.ServeHTTP)
	}
	if !s.cfg.DisableDocs {
		s.routeDocs()
	}
	for path, methods := range notServed {
		for _, method := range strings.Fields(methods) {
			r.Method(method, path, http.HandlerFunc(s.handleNotServed))
		}
	}
	s.routeDialects() // last, as it may replace a path of notServed
	r.NotFound(s.handleNotFound)
	r.MethodNotAllowed(s.handleMethod)
}

// read routes GET and HEAD. net/http answers HEAD with GET's status and headers. A GET
// that acts, such as /start_profile, has no HEAD, because a probe must not act.
func (s *Server) read(path string, handler http.HandlerFunc) {
	s.router.Get(path, handler)
	s.router.Head(path, handler)
}

// handleNotFound redirects a path with a trailing slash to the path without it, for
// every method, as sglang-jax does. The target is relative, so that the answer does not
// repeat a Host header, which any client may set.
func (s *Server) handleNotFound(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == r.URL.Path || len(s.allowed(path)) == 0 {
		writeJSON(w, http.StatusNotFound, detail("Not Found"))
		return
	}
	to := url.URL{Path: path, RawPath: strings.TrimSuffix(r.URL.RawPath, "/"),
		RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// handleMethod answers 405 with the methods that the path has.
func (s *Server) handleMethod(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", strings.Join(s.allowed(r.URL.Path), ", "))
	writeJSON(w, http.StatusMethodNotAllowed, detail("Method Not Allowed"))
}

// allowed lists the methods of a path; none if there is no such path. HEAD is not
// named, as in sglang-jax.
func (s *Server) allowed(path string) []string {
	methods := []string{http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost,
		http.MethodPut}
	return slices.DeleteFunc(methods, func(method string) bool {
		return !s.router.Match(chi.NewRouteContext(), method, path)
	})
}

// ready returns the model, or answers that it is still loading and returns false.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) (*Model, bool) {
	m := s.model.Load()
	if m == nil {
		s.writeError(w, r, errLoading())
	}
	return m, m != nil
}

// errLoading returns the error of a request that comes before the model is loaded.
func errLoading() error {
	return score.Errorf(score.Unavailable, "", "model is loading; retry later")
}
