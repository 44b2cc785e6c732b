// Package server speaks the HTTP contract of sglang-jax's Score API, and the dialects
// of other servers' clients, over a score.Scorer. A body becomes a score.Request, and a
// score.Result becomes an answer. The package must not know engines, tensors, plugins
// or tokenizers.
//
// Begin with New, which puts the parts together, and Server.route, which lists the
// paths. Each family of paths has a type with the fields that it needs: scoring for
// requests for scores, about for descriptions of the model, health, profiling. All
// requests for scores go through scoring.handle; a dialect holds the differences between
// them.
package server

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"scored/prompt"
	"scored/sglang"
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

// Server is the http.Handler of the API. It can listen before its model is loaded, and
// answers 503 until then. It only puts the parts together: authorizer, accessLog and
// origins around every request, and the handlers behind the router.
type Server struct {
	cfg   Config
	model modelSlot

	authorizer authorizer
	origins    origins
	access     accessLog

	router  *router
	errors  *errorWriter
	bodies  *bodyReader
	scoring *scoring
}

// New returns a Server without a model.
func New(cfg Config) *Server {
	if cfg.HealthTimeout == 0 {
		cfg.HealthTimeout = 20 * time.Second
	}
	if cfg.Access == nil {
		cfg.Access = cfg.Logger
	}
	known := probes{healthRoute: cfg.HealthRoute}
	s := &Server{cfg: cfg, router: newRouter(), origins: cfg.CORSOrigins,
		authorizer: authorizer{probes: known, predictRoute: cfg.PredictRoute,
			keylessPing: cfg.KeylessPing, key: cfg.APIKey, keys: cfg.Keys},
		access: accessLog{panics: cfg.Logger, log: cfg.Access, metrics: cfg.Metrics,
			probes: known},
		bodies: &bodyReader{most: cfg.MaxBody, timeout: cfg.BodyTimeout,
			held: held{most: cfg.MaxHeld}}}
	s.errors = &errorWriter{log: cfg.Logger, metrics: cfg.Metrics, model: &s.model}
	s.scoring = &scoring{model: &s.model, errors: s.errors, bodies: s.bodies,
		clients: clients{most: cfg.MaxClientRequests}, timeout: cfg.RequestTimeout,
		salts: salts{byKey: cfg.SaltByKey}, metrics: cfg.Metrics}
	s.route()
	cfg.Metrics.watch(&s.model)
	return s
}

// Serve gives the Server its model, which it then owns. Requests are answered from then
// on. It must be called at most once.
func (s *Server) Serve(m *Model) { s.model.Store(newLoaded(m, s.cfg)) }

// longestID is how many bytes of a client's X-Request-Id are kept; the id of a longer
// one is replaced, because it goes into every log line and span of the request.
const longestID = 128

// ServeHTTP implements http.Handler. Around every route it handles the request id, the
// API key, the access log with metrics and panics, and origins, in this order. So a
// request without a key is logged, and a page of another origin cannot read why a
// request was refused.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	if id := requestID(r); id == "" || len(id) > longestID {
		r.Header.Set("X-Request-Id", rand.Text())
	}
	answer := &recorder{ResponseWriter: w}
	answer.Header().Set("X-Request-Id", requestID(r))
	if m := s.model.Load(); m != nil && m.Generated {
		answer.Header().Set("X-Scored-Weights", "generated")
	}
	by, authorized := s.authorizer.authorize(r)
	if by != (caller{}) {
		r = by.with(r)
	}
	defer s.access.end(answer, r, begin)
	if !authorized {
		answer.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(answer, http.StatusUnauthorized,
			sglang.JSON(sglang.Object{{Key: "error", Value: "Unauthorized"}}))
		return
	}
	if !s.origins.answer(answer, r) {
		s.router.ServeHTTP(answer, r)
	}
}

// requestID returns the request's id. ServeHTTP makes one if the client sent none.
func requestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }

// route adds all paths to the router. A handler that needs the model stands in
// whenLoaded, which answers 503 until there is one.
func (s *Server) route() {
	r, cfg := s.router, s.cfg
	whenLoaded := s.errors.whenLoaded

	health := health{model: &s.model, log: cfg.Logger, timeout: cfg.HealthTimeout}
	r.read("/livez", health.alive)
	ready := []string{"/health", "/readyz", "/ping"}
	for _, path := range ready {
		r.read(path, health.ready)
	}
	if route := cfg.HealthRoute; route != "" &&
		!slices.Contains(append(ready, "/livez", "/health_generate"), route) {
		r.read(route, health.ready)
	}
	r.read("/health_generate", health.generate)

	about := about{model: &s.model, errors: s.errors, served: cfg.ServedModel,
		path: cfg.ModelPath, tokenizer: cfg.TokenizerPath, sampling: cfg.Sampling,
		version: cfg.Version}
	r.read("/v1/models", whenLoaded(about.models))
	r.read("/v1/models/*", about.oneModel)
	r.read("/get_model_info", about.paths)
	r.read("/get_server_info", whenLoaded(about.settings))
	r.read("/get_load", whenLoaded(handleLoad))
	r.read("/info", whenLoaded(about.tei))
	r.act("/flush_cache", whenLoaded(handleFlush))

	profiling := profiling{errors: s.errors, bodies: s.bodies, emulate: cfg.EmulateSGLang}
	r.act("/start_profile", whenLoaded(profiling.start))
	r.act("/stop_profile", whenLoaded(profiling.stop))
	r.read("/profile_status", whenLoaded(profiling.status))

	if cfg.Metrics != nil {
		r.read("/metrics", cfg.Metrics.ServeHTTP)
	}
	if !cfg.DisableDocs {
		routeDocs(r)
	}
	routeNotServed(r, s.errors)
	s.scoring.route(r, routes(cfg.PredictRoute)) // last: it may replace a path of notServed
}
