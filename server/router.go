package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// router finds the handler of a path, and answers as sglang-jax's framework does where
// there is none. Routes must be added before it serves.
type router struct{ chi.Router }

// newRouter returns a router without routes.
func newRouter() *router {
	r := &router{chi.NewRouter()}
	r.NotFound(r.notFound)
	r.MethodNotAllowed(r.wrongMethod)
	return r
}

// read routes GET and HEAD. net/http answers HEAD with GET's status and headers.
func (r *router) read(path string, handler http.HandlerFunc) {
	r.Get(path, handler)
	r.Head(path, handler)
}

// act routes GET and POST, as sglang-jax does for paths that do something. Such a GET
// has no HEAD, because a probe must not act.
func (r *router) act(path string, handler http.HandlerFunc) {
	r.Get(path, handler)
	r.Post(path, handler)
}

// notFound redirects a path with a trailing slash to the path without it, for every
// method, as sglang-jax does. The target is relative, so that the answer does not repeat
// a Host header, which any client may set.
func (r *router) notFound(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimSuffix(req.URL.Path, "/")
	if path == req.URL.Path || len(r.allowed(path)) == 0 {
		writeJSON(w, http.StatusNotFound, detail("Not Found"))
		return
	}
	to := url.URL{Path: path, RawPath: strings.TrimSuffix(req.URL.RawPath, "/"),
		RawQuery: req.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// wrongMethod answers 405 with the methods that the path has.
func (r *router) wrongMethod(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Allow", strings.Join(r.allowed(req.URL.Path), ", "))
	writeJSON(w, http.StatusMethodNotAllowed, detail("Method Not Allowed"))
}

// allowed lists the methods of a path; none if there is no such path. HEAD is not named,
// as in sglang-jax.
func (r *router) allowed(path string) []string {
	methods := []string{http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost,
		http.MethodPut}
	return slices.DeleteFunc(methods, func(method string) bool {
		return !r.Match(chi.NewRouteContext(), method, path)
	})
}
