package server

import "net/http"

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

// handleNotServed answers 501 and names what this server does serve, so that a client
// does not take it for broken.
func (s *Server) handleNotServed(w http.ResponseWriter, r *http.Request) {
	s.writeError(w, r, &apiError{status: http.StatusNotImplemented, kind: "NotImplementedError",
		message: r.URL.Path + " is not served: this server scores and does not generate; use POST " +
			"/v1/score"})
}
