package server

import (
	"cmp"
	"errors"
	"net/http"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// decodedBytes is how much memory the values of a body may take. A score request with
// four million token ids takes half of it.
const decodedBytes = 64 << 20

// decodeObject reads a body that must be a JSON object, sent as application/json. The
// object shares the memory of data, which must not be changed afterwards.
func decodeObject(contentType []string, data []byte) (*python.Object, error) {
	object, err := sglang.DecodeObject(contentType, data, decodedBytes)
	return object, badBody(err)
}

// badBody gives an error of reading a body its status, with sglang-jax's words and with
// plain ones for other dialects. Other errors, and nil, stay as they are.
func badBody(err error) error {
	var body *sglang.BodyError
	if errors.As(err, &body) {
		bad := &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: body.Message,
			plainly: body.Plainly}
		if body.Detail != "" {
			bad.raw = detail(body.Detail)
		}
		return bad
	}
	var large *python.TooLarge
	if errors.As(err, &large) {
		return score.Errorf(score.TooLarge, large.Field,
			"%s takes more than %d bytes of memory once it is read; split the request",
			cmp.Or(large.Field, "body"), decodedBytes)
	}
	return err
}
