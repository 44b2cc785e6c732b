// Package server speaks the HTTP contract of sglang-jax's Score API, and what clients of other servers speak, over a
// score.Scorer. It must not know engines, tensors, plugins or tokenizers: a body becomes a score.Request, a score.Result
// becomes an answer.
//
// Begin with New and Server.route; handle is what all requests for scores go through, and a dialect what they differ in.
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

// Config is what a Server shows and how much it takes. What may be nil or zero is said.
type Config struct {
	ServedModel   string
	ModelPath     string
	TokenizerPath string
	Sampling      string // JSON value shown as preferred_sampling_params; "" shows null
	Version       string

	APIKey            string        // with Keys nil and "": no key is asked for
	Keys              *Keys         // others, once they have been read; nil: none
	MaxBody           int64         // bytes of a body, decompressed
	MaxHeld           int64         // bytes of the bodies of all requests in hand, zipped and unzipped; 0: no limit
	BodyTimeout       time.Duration // for a body to arrive; 0: no limit
	MaxClientRequests int           // in hand of one client; 0: no limit
	RequestTimeout    time.Duration // a request's time from its first byte to its answer; 0: no limit
	HealthTimeout     time.Duration // of /health_generate; 0: 20 seconds
	CORSOrigins       []string      // origins that browsers may call from, "*" for all; nil: none
	StrictEmptyItems  bool          // refuse items [] instead of answering scores []
	EmulatePeer       bool          // answer faults of profiling requests as the peer does: 500, without a reason
	DisableDocs       bool          // no /openapi.json and /docs

	Template *prompt.Template // of the texts to be scored at /v1/score and /generative_scoring; nil: they are as they come

	HealthRoute  string // another path of /health, which needs no key; "": none
	PredictRoute string // a path for requests of any dialect, and those of Vertex AI; "": none
	KeylessPing  bool   // /ping needs no key

	SaltByKey bool // what is kept of prompts is shared by requests of one key alone

	Metrics *Metrics // nil: /metrics is 404
	Logger  *slog.Logger
	Access  *slog.Logger // a line for each request; nil: Logger
}

// Model is what answers once it has been loaded.
type Model struct {
	Scorer        *score.Scorer
	Settings      []Setting         // shown by /get_server_info, in this order
	Words         Words             // nil: labels can be named by id only, and nothing can be reranked
	Profiler      *profile.Profiler // nil: profiling requests get 501
	Observer      score.Observer    // of reading and replying; nil: none
	ContextLength int
	Vocab         int  // token ids that prompts and labels may use
	BaseVocab     int  // the vocabulary size in the peer's label error
	Generated     bool // the weights are made up: every answer says so

	template   rerankTemplate
	noTemplate error // why there is no template: the model cannot rerank
	prompt     *prompt.Template
}

// Words is what the server itself needs of the model's tokenizer. It is safe for concurrent use.
type Words interface {
	score.Encoder
	// Single gives the id of a text that is exactly one token, or an error that lists the tokens it is.
	Single(text string) (int32, error)
	// Tokens gives the ids of a text that goes on from another: without those that may be put around a text.
	Tokens(text string) ([]int32, error)
}

// Server is the API's http.Handler. It listens before its model is ready and answers 503 until then.
type Server struct {
	cfg    Config
	router chi.Router
	model  atomic.Pointer[Model]

	clients clients
	held    held
}

// New makes a Server without a model.
func New(cfg Config) *Server {
	if cfg.HealthTimeout == 0 {
		cfg.HealthTimeout = 20 * time.Second
	}
	if cfg.Access == nil {
		cfg.Access = cfg.Logger
	}
	s := &Server{cfg: cfg, router: chi.NewRouter(), clients: clients{most: cfg.MaxClientRequests}, held: held{most: cfg.MaxHeld}}
	s.route()
	cfg.Metrics.watch(s)
	return s
}

// Serve gives the Server its model, which it takes over. Requests from then on are answered.
func (s *Server) Serve(m *Model) {
	m.template, m.noTemplate = m.rerankTemplate()
	m.prompt = m.fitTemplate(s.cfg.Template)
	s.model.Store(m)
}

func (s *Server) route() {
	r := s.router

	s.read("/livez", s.handleAlive)
	for _, path := range []string{"/health", "/readyz", "/ping"} {
		s.read(path, s.handleReady)
	}
	if route := s.cfg.HealthRoute; route != "" && !slices.Contains([]string{"/livez", "/health", "/readyz", "/ping", "/health_generate"}, route) {
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
	s.routeDialects() // last: one may have the path of what is not served
	r.NotFound(s.handleNotFound)
	r.MethodNotAllowed(s.handleMethod)
}

// read routes GET, and HEAD, which net/http answers with GET's status and headers alone. A GET that acts, as on
// /start_profile, has no HEAD: a probe must not act.
func (s *Server) read(path string, handler http.HandlerFunc) {
	s.router.Get(path, handler)
	s.router.Head(path, handler)
}

// handleNotFound sends a path with a slash too many to its right place, whatever the method, as sglang-jax does. The
// place is relative, so that nothing repeats a Host header, which anyone may set.
func (s *Server) handleNotFound(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == r.URL.Path || len(s.allowed(path)) == 0 {
		writeJSON(w, http.StatusNotFound, detail("Not Found"))
		return
	}
	to := url.URL{Path: path, RawPath: strings.TrimSuffix(r.URL.RawPath, "/"), RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (s *Server) handleMethod(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", strings.Join(s.allowed(r.URL.Path), ", "))
	writeJSON(w, http.StatusMethodNotAllowed, detail("Method Not Allowed"))
}

// allowed lists the methods that a path has, none if there is no such path. HEAD goes with GET and is not named, as in
// sglang-jax.
func (s *Server) allowed(path string) []string {
	methods := []string{http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost, http.MethodPut}
	return slices.DeleteFunc(methods, func(method string) bool { return !s.router.Match(chi.NewRouteContext(), method, path) })
}

// ready gives the model, or answers that it is still loading.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) (*Model, bool) {
	m := s.model.Load()
	if m == nil {
		s.writeError(w, r, errLoading())
	}
	return m, m != nil
}

func errLoading() error { return score.Errorf(score.Unavailable, "", "model is loading; retry later") }
