package server

import (
	"net/http"

	"scored/sglang"
)

// errorShape turns an error into the status and the JSON that a dialect's clients
// expect. Clients read the message from a certain key, and decide by the status whether
// to repeat the request.
type errorShape func(*apiError) (status int, body string)

// envelope is sglang-jax's shape: five keys, or the raw body where it has none. param is
// always null there; the field at fault is in the header X-Scored-Error-Param.
func envelope(e *apiError) (int, string) {
	if e.raw != "" {
		return e.status, e.raw
	}
	return e.status, sglang.JSON(sglang.Object{{Key: "object", Value: "error"},
		{Key: "message", Value: e.message}, {Key: "type", Value: e.kind},
		{Key: "param", Value: nil}, {Key: "code", Value: e.status}})
}

// vllmError is OpenAI's shape as vLLM has it, with the field at fault in param and the
// status once more in code.
func vllmError(e *apiError) (int, string) {
	var param any
	if e.param != "" {
		param = e.param
	}
	return e.status, sglang.JSON(sglang.Object{{Key: "error",
		Value: sglang.Object{{Key: "message", Value: e.said()}, {Key: "type", Value: e.kind},
			{Key: "param", Value: param}, {Key: "code", Value: e.status}}}})
}

// teiError has TEI's two keys, and its statuses where they differ from ours: 429 when
// full, 424 when the model fails, 400 for no texts at all, and 422 for a wrong field,
// as its web framework answers JSON of the wrong shape.
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
	return status, sglang.JSON(sglang.Object{{Key: "error", Value: e.said()},
		{Key: "error_type", Value: kind}})
}

// nimError is the shape of NVIDIA's NIMs. detail is an empty object if no field is at
// fault.
func nimError(e *apiError) (int, string) {
	kind := "invalid_request_error"
	if e.status >= http.StatusInternalServerError {
		kind = "server_error"
	}
	detail := sglang.Object{}
	if e.param != "" {
		detail = sglang.Object{{Key: "param", Value: e.param}}
	}
	return e.status, sglang.JSON(sglang.Object{{Key: "object", Value: "error"},
		{Key: "message", Value: e.said()}, {Key: "detail", Value: detail},
		{Key: "type", Value: kind}})
}

// googleError is the shape of https://cloud.google.com/apis/design/errors, which Vertex
// AI passes on.
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
	return e.status, sglang.JSON(sglang.Object{{Key: "error",
		Value: sglang.Object{{Key: "code", Value: e.status}, {Key: "message", Value: e.said()},
			{Key: "status", Value: name}}}})
}
