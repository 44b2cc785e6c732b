package server

import (
	"net/http"
	"slices"

	"scored/score"
	"scored/sglang/python"
)

// dialect is the form in which one kind of client asks for scores and is answered. All
// dialects share the way in between: see scoring.handle. Each dialect has a file that
// makes score.Requests from a body and an answer from their Results.
type dialect struct {
	name string // label of its metrics
	// accepts reports whether a body is of this dialect; nil: every body is.
	accepts func(o *python.Object) bool
	// read returns the requests for scores in a body, at least one. id is the request's.
	// Its errors name field and index.
	read func(m *loaded, id string, o *python.Object) ([]part, error)
	// join makes one answer from those of several parts; nil for dialects with a single
	// part.
	join  func(answers []string) string
	shape errorShape
}

// part is one request for scores, and how to answer it.
type part struct {
	request *score.Request
	// answer returns an error if the result cannot be answered, otherwise a function
	// that makes the answer's JSON when it is written.
	answer func(*score.Result) (func() string, error)
	prefix string // path of the part in the body, which its errors put before their fields
}

// parts reads the requests of a body. The body's salt applies to requests that have none
// of their own. It is read last, so that a fault in it is told after any other.
func (d *dialect) parts(m *loaded, id string, o *python.Object) ([]part, error) {
	parts, err := d.read(m, id, o)
	if err != nil {
		return nil, err
	}
	salt, err := readSalt(o)
	for _, p := range parts {
		if p.request.Salt == "" {
			p.request.Salt = salt
		}
	}
	return parts, err
}

// route is a path for requests for scores, its methods besides POST, and its dialects.
// A body is read in the first dialect that accepts it. Errors before the body is read
// have the shape of the last dialect.
type route struct {
	path     string
	methods  []string
	dialects []dialect
	classes  bool // only a classifier serves it; with a language model it answers as sglang-jax does
}

// routes returns the paths of all dialects. predict is Config.PredictRoute. docs/api.md
// has the same table for clients.
func routes(predict string) []route {
	all := []route{
		{path: "/v1/score", dialects: []dialect{pairsDialect(true), scoreDialect()}},
		{path: "/score", dialects: []dialect{pairsDialect(false)}},
		{path: "/generative_scoring", dialects: []dialect{generativeDialect()}},
		{path: "/rerank", dialects: []dialect{teiDialect(), rerankDialect()}},
		// sglang-jax has PUT, too.
		{path: "/v1/rerank", methods: []string{http.MethodPut}, dialects: []dialect{rerankDialect()}},
		{path: "/v2/rerank", dialects: []dialect{rerankDialect()}},
		{path: "/v1/ranking", dialects: []dialect{nimDialect()}},
		{path: "/classify", dialects: []dialect{predictDialect(), classifyDialect()}, classes: true},
		{path: "/v1/classify", dialects: []dialect{classifyDialect()}},
		{path: "/predict", dialects: []dialect{predictDialect()}},
		{path: "/invocations", dialects: anyDialect()}, // SageMaker's
		{path: "/vertex", dialects: []dialect{vertexDialect()}},
	}
	if predict != "" {
		i := slices.IndexFunc(all, func(at route) bool { return at.path == predict })
		if i < 0 {
			return append(all, route{path: predict, dialects: anyDialect()})
		}
		all[i].dialects = append([]dialect{vertexDialect()}, all[i].dialects...)
	}
	return all
}

// Paths returns the paths that score, in every dialect, without those that a Config
// adds.
func Paths() (all []string) {
	for _, at := range routes("") {
		all = append(all, at.path)
	}
	return all
}

// dialectNames lists the dialects whose metrics exist from the start.
func dialectNames() []string {
	return []string{"sglang", "rerank", "tei", "pairs", "generative", "nim", "classify", "predict",
		"vertex", "unknown"}
}

// dialectOf returns the dialect of a body. If none accepts it, it returns the first.
func dialectOf(dialects []dialect, o *python.Object) *dialect {
	i := slices.IndexFunc(dialects, func(d dialect) bool { return d.accepts == nil || d.accepts(o) })
	return &dialects[max(0, i)]
}

// has returns a function that reports whether a body has one of the fields, even if it
// is null.
func has(fields ...python.String) func(o *python.Object) bool {
	return func(o *python.Object) bool {
		return slices.ContainsFunc(fields, func(field python.String) bool {
			_, ok := o.Get(field)
			return ok
		})
	}
}
