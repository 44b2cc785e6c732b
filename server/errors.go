package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"scored/score"
)

// apiError is an answer that is not a success, in the peer's envelope or as raw JSON.
type apiError struct {
	status  int
	kind    string // the envelope's type
	message string
	param   string // the field at fault, for the header X-Scored-Error-Param
	raw     string // the whole body, where the peer sends no envelope
}

func (e *apiError) Error() string { return e.message + e.raw }

func badRequest(message string) error {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: message}
}

// statuses is what the domain's errors become.
func statuses(kind score.Kind) (status int, name string) {
	switch kind {
	case score.Invalid:
		return http.StatusBadRequest, "BadRequestError"
	case score.TooLarge:
		return http.StatusRequestEntityTooLarge, "BadRequestError"
	case score.Overloaded, score.Unavailable:
		return http.StatusServiceUnavailable, "ServiceUnavailableError"
	case score.Deadline:
		return http.StatusRequestTimeout, "RequestTimeoutError"
	default:
		return http.StatusInternalServerError, "InternalServerError"
	}
}

// writeError answers with err. What is our fault is told to the log alone; the client gets the request id.
func (s *Server) writeError(w http.ResponseWriter, id string, err error) {
	var answer *apiError
	if !errors.As(err, &answer) {
		answer = &apiError{status: http.StatusInternalServerError, kind: "InternalServerError"}
		var domain *score.Error
		if errors.As(err, &domain) {
			answer.status, answer.kind = statuses(domain.Kind)
			answer.message, answer.param = domain.Message, domain.Param
		}
		if answer.status == http.StatusInternalServerError {
			s.cfg.Logger.Error("request failed", "request", id, "error", err)
			answer.message = "Internal server error: " + strings.TrimSpace(answer.message+" (request "+id+")")
		}
	}
	if answer.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if answer.param != "" {
		w.Header().Set("X-Scored-Error-Param", answer.param)
	}
	body := answer.raw
	if body == "" {
		body = `{"object":"error","message":` + quote(answer.message) + `,"type":` + quote(answer.kind) +
			`,"param":null,"code":` + strconv.Itoa(answer.status) + `}`
	}
	writeJSON(w, answer.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that has gone needs no answer
}

// quote is a JSON string as orjson and json.dumps(ensure_ascii=False) write it: UTF-8, escapes only where JSON needs them.
func quote(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // strings always encode
	text := strings.TrimSuffix(b.String(), "\n")
	// encoding/json escapes two separators for JavaScript's sake; Python does not.
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\\`, `\\`).Replace(text)
}
