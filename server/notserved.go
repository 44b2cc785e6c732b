package server

import (
	"net/http"
	"strings"
)

// notServed lists sglang-jax's endpoints that have nothing to do with scoring, and
// their methods.
var notServed = map[string]string{
	"/generate": "POST PUT", "/generate_from_file": "POST", "/encode": "POST PUT",
	"/classify":       "POST PUT",
	"/v1/completions": "POST", "/v1/chat/completions": "POST", "/v1/embeddings": "POST",
	"/set_internal_state": "POST PUT", "/configure_logging": "GET POST",
	"/start_trace": "GET POST", "/stop_trace": "GET POST", "/trace_status": "GET POST",
	"/abort_request": "POST", "/pause_generation": "POST", "/continue_generation": "POST",
	"/open_session": "GET POST", "/close_session": "GET POST",
	"/release_memory_occupation": "GET POST", "/resume_memory_occupation": "GET POST",
	"/parse_function_call": "POST", "/separate_reasoning": "POST",
}

// routeNotServed routes the paths of notServed. They answer 501 even while the model is
// loading, because waiting for it would not help.
func routeNotServed(r *router, errors *errorWriter) {
	for path, methods := range notServed {
		for _, method := range strings.Fields(methods) {
			r.MethodFunc(method, path, func(w http.ResponseWriter, r *http.Request) {
				errors.write(w, r, errNotServed(r.URL.Path))
			})
		}
	}
}

// errNotServed returns the error of a path of sglang-jax's that is not served here. It
// names a path that is, so that a client does not take the server for broken.
func errNotServed(path string) error {
	return &apiError{status: http.StatusNotImplemented, kind: "NotImplementedError",
		message: path + " is not served: this server scores and does not generate; use POST " +
			"/v1/score"}
}
