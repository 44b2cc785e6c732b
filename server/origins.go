package server

import (
	"net/http"
	"slices"
	"strings"
)

// corsMethods are the methods that sglang-jax allows to pages of another origin.
const corsMethods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

// origins are those that browsers may call from, such as https://example.com; "*" stands
// for all. Without one, no header is set, and a browser lets no other page read answers.
// Protocol: https://fetch.spec.whatwg.org/#http-cors-protocol.
type origins []string

// answer allows pages of these origins to call, and answers a browser's preflight. It
// reports whether it has answered. The texts and headers are those of Starlette's
// CORSMiddleware, which sglang-jax runs with credentials allowed.
func (o origins) answer(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || len(o) == 0 {
		return false
	}
	method := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && method != ""
	all := slices.Contains(o, "*")
	if !all && !slices.Contains(o, origin) {
		if preflight {
			writePlain(w, http.StatusBadRequest, "Disallowed CORS origin")
		}
		return preflight
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Credentials", "true")
	// "*" must not stand beside cookies, so their sender's origin is repeated.
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
