package server

import (
	"net/http"
	"strconv"
)

// errorShape gives an error the status and the JSON that a dialect's clients expect.
type errorShape func(*apiError) (status int, body string)

// envelope is sglang-jax's five keys, or JSON without them where it has none.
func envelope(e *apiError) (int, string) {
	if e.raw != "" {
		return e.status, e.raw
	}
	return e.status, `{"object":"error","message":` + quote(e.message) + `,"type":` + quote(e.kind) + `,"param":null,"code":` + strconv.Itoa(e.status) + `}`
}

// vllmError is OpenAI's shape as vLLM has it, with the field at fault.
func vllmError(e *apiError) (int, string) {
	param := "null"
	if e.param != "" {
		param = quote(e.param)
	}
	return e.status, `{"error":{"message":` + quote(e.said()) + `,"type":` + quote(e.kind) + `,"param":` + param + `,"code":` + strconv.Itoa(e.status) + `}}`
}

// teiError has TEI's two keys, and its statuses where they mean something else than ours.
func teiError(e *apiError) (int, string) {
	status, kind := e.status, "Validation"
	switch {
	case e.busy:
		status, kind = http.StatusTooManyRequests, "Overloaded"
	case status == http.StatusServiceUnavailable:
		kind = "Unhealthy"
	case status == http.StatusInternalServerError:
		status, kind = http.StatusFailedDependency, "Backend"
	case status == http.StatusGatewayTimeout:
		kind = "Backend"
	case e.kind == teiEmpty:
		kind = teiEmpty
	case status == http.StatusBadRequest && e.param != "":
		status = http.StatusUnprocessableEntity
	}
	return status, `{"error":` + quote(e.said()) + `,"error_type":` + quote(kind) + `}`
}

// nimError is the shape of NVIDIA's NIMs.
func nimError(e *apiError) (int, string) {
	kind := "invalid_request_error"
	if e.status >= http.StatusInternalServerError {
		kind = "server_error"
	}
	detail := "{}"
	if e.param != "" {
		detail = `{"param":` + quote(e.param) + `}`
	}
	return e.status, `{"object":"error","message":` + quote(e.said()) + `,"detail":` + detail + `,"type":` + quote(kind) + `}`
}

// googleError is the shape of https://cloud.google.com/apis/design/errors, which Vertex AI passes on.
func googleError(e *apiError) (int, string) {
	name := "INVALID_ARGUMENT"
	switch e.status {
	case http.StatusTooManyRequests:
		name = "RESOURCE_EXHAUSTED"
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		name = "DEADLINE_EXCEEDED"
	case http.StatusServiceUnavailable:
		name = "UNAVAILABLE"
	case http.StatusInternalServerError:
		name = "INTERNAL"
	}
	return e.status, `{"error":{"code":` + strconv.Itoa(e.status) + `,"message":` + quote(e.said()) + `,"status":"` + name + `"}}`
}
