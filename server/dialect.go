package server

import (
	"net/http"
	"slices"

	"scored/score"
	"scored/sglang/python"
)

// dialect is how one kind of client asks for scores and is answered. In between, all go the same way: see handle. A
// dialect is a file that makes score.Requests of a body and an answer of their Results.
type dialect struct {
	name string // as the metrics have it
	// mine tells whether a body is of this dialect; nil: any is.
	mine func(o *python.Object) bool
	// read makes the requests for scores. Its errors name field and index.
	read func(s *Server, m *Model, id string, o *python.Object) ([]part, error)
	// join makes one answer of the parts'; nil where there is one part always.
	join  func(answers []string) string
	fault errorShape
}

// part is one request for scores, and how it is answered.
type part struct {
	request *score.Request
	// answer tells what cannot be answered, and else gives the answer's JSON, to be made when it is written.
	answer func(*score.Result) (func() string, error)
	prefix string // of the fields that its errors name
}

// route is a path where scores are asked for, by methods beside POST, and the dialects that are spoken there. A body is
// of the first that it may be of, and errors before the body is read have the shape of the last.
type route struct {
	path     string
	methods  []string
	dialects []dialect
	classes  bool // a language model does not serve it, as sglang-jax does not
}

// routes are the paths of all dialects; docs/api.md has the same table for clients.
func (s *Server) routes() []route {
	all := []route{
		{path: "/v1/score", dialects: []dialect{pairsDialect(true), scoreDialect()}},
		{path: "/score", dialects: []dialect{pairsDialect(false)}},
		{path: "/generative_scoring", dialects: []dialect{generativeDialect()}},
		{path: "/rerank", dialects: []dialect{teiDialect(), rerankDialect()}},
		{path: "/v1/rerank", methods: []string{http.MethodPut}, dialects: []dialect{rerankDialect()}}, // sglang-jax has the method
		{path: "/v2/rerank", dialects: []dialect{rerankDialect()}},
		{path: "/v1/ranking", dialects: []dialect{nimDialect()}},
		{path: "/classify", dialects: []dialect{predictDialect(), classifyDialect()}, classes: true},
		{path: "/v1/classify", dialects: []dialect{classifyDialect()}},
		{path: "/predict", dialects: []dialect{predictDialect()}},
		{path: "/invocations", dialects: anyDialect()}, // SageMaker's
		{path: "/vertex", dialects: []dialect{vertexDialect()}},
	}
	if predict := s.cfg.PredictRoute; predict != "" {
		i := slices.IndexFunc(all, func(at route) bool { return at.path == predict })
		if i < 0 {
			return append(all, route{path: predict, dialects: anyDialect()})
		}
		all[i].dialects = append([]dialect{vertexDialect()}, all[i].dialects...)
	}
	return all
}

// Paths are those that score: of every dialect, but not what a Config adds.
func Paths() (all []string) {
	for _, at := range (&Server{}).routes() {
		all = append(all, at.path)
	}
	return all
}

// routeDialects routes every path of routes.
func (s *Server) routeDialects() {
	for _, at := range s.routes() {
		for _, method := range append(at.methods, http.MethodPost) {
			s.router.Method(method, at.path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if m := s.model.Load(); at.classes && m != nil && !m.classifies() {
					s.handleNotServed(w, r)
					return
				}
				s.handle(w, r, at.dialects)
			}))
		}
	}
}

// dialectNames are the names that metrics have from the start.
func dialectNames() []string {
	return []string{"sglang", "rerank", "tei", "pairs", "generative", "nim", "classify", "predict", "vertex", "unknown"}
}

// speak gives the dialect that a body is of.
func speak(dialects []dialect, o *python.Object) *dialect {
	i := slices.IndexFunc(dialects, func(d dialect) bool { return d.mine == nil || d.mine(o) })
	return &dialects[max(0, i)]
}

// has tells bodies with one of these fields.
func has(fields ...python.String) func(o *python.Object) bool {
	return func(o *python.Object) bool {
		return slices.ContainsFunc(fields, func(field python.String) bool { _, ok := o.Get(field); return ok })
	}
}
