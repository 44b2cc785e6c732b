package sglang

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"scored/sglang/python"
)

// BodyError says why a body cannot be read at all, in the words of sglang-jax's
// libraries and in plain ones. One of Message and Detail is set; Plainly always is.
type BodyError struct {
	Message string // pydantic's list of faults; "" if FastAPI answers with Detail
	Detail  string // FastAPI's own answer
	Plainly string // in plain English, for clients of other dialects
}

// Error implements error.
func (e *BodyError) Error() string { return e.Plainly }

// refused returns a BodyError with faults in pydantic's form.
func refused(plainly string, faults ...Fault) error {
	return &BodyError{Message: Describe(faults), Plainly: plainly}
}

// DecodeObject reads a body that must be a JSON object, sent as application/json. Its
// values may take memory bytes, and share the memory of data. Errors are *BodyError or
// *python.TooLarge. Of several faults it reports the one that sglang-jax finds first:
// bad JSON, then the content type, then the kind of its value.
func DecodeObject(contentType []string, data []byte, memory int) (*python.Object, error) {
	parse, right := jsonContent(contentType)
	var value python.Value
	if parse && len(data) > 0 {
		var err error
		if value, err = python.Decode(data, memory); err != nil {
			return nil, jsonError(err)
		}
	}
	if !right {
		return nil, &BodyError{Message: " [{'loc': ['header', 'content-type'], 'msg': " +
			"\"Unsupported Media Type: Only 'application/json' is allowed\", 'type': 'value_error'}]",
			Plainly: "header Content-Type must be application/json"}
	}
	if value == nil {
		return nil, refused("body is empty; send a JSON object", NewFault("missing", nil))
	}
	object, ok := value.(*python.Object)
	if !ok {
		return nil, refused("body must be a JSON object", NewFault("model_attributes_type", value))
	}
	return object, nil
}

// DecodeOptional reads the body of the Python dataclass class. The body may be absent
// and have any content type, but only JSON is parsed. The object is nil if there is
// none. Errors are those of DecodeObject.
func DecodeOptional(class string, contentType []string, data []byte, memory int) (*python.Object,
	error) {
	if len(data) == 0 {
		return nil, nil
	}
	parse, _ := jsonContent(contentType)
	var value python.Value = python.Bytes(data)
	if parse {
		var err error
		if value, err = python.Decode(data, memory); err != nil {
			return nil, jsonError(err)
		}
	}
	object, ok := value.(*python.Object)
	if value != nil && !ok {
		f := NewFault("dataclass_type", value)
		f.ctx = "{'class_name': '" + class + "'}"
		return nil, refused("body must be a JSON object", f)
	}
	return object, nil
}

// jsonContent reports whether FastAPI would parse the body as JSON, and whether the
// content type is the accepted one. sglang-jax makes the second check itself, without
// trimming blanks. Both read headers as Latin-1, and the first of several. FastAPI takes
// a body without a content type for JSON, and application/*+json, too.
func jsonContent(header []string) (parse, right bool) {
	if len(header) == 0 || header[0] == "" {
		return true, false
	}
	before, _, _ := strings.Cut(header[0], ";")
	characters := make([]rune, len(before))
	for i := range len(before) {
		characters[i] = rune(before[i])
	}
	media := strings.ToLower(string(characters))
	subtype, application := strings.CutPrefix(strings.TrimFunc(media, func(r rune) bool {
		return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f // str.strip
	}), "application/")
	parse = application && !strings.Contains(subtype, "/") &&
		(subtype == "json" || strings.HasSuffix(subtype, "+json"))
	return parse, media == "application/json"
}

// jsonError turns an error of python.Decode into a BodyError, in the order of
// pydantic's checks.
func jsonError(err error) error {
	var syntax *python.SyntaxError
	if errors.As(err, &syntax) {
		f := NewFault("json_invalid", &python.Object{}, syntax.Pos)
		f.ctx = "{'error': " + python.Repr(python.String(syntax.Message)) + "}"
		return refused(fmt.Sprintf("body is no JSON: %s at character %d", syntax.Message, syntax.Pos), f)
	}
	if errors.As(err, new(*python.TooLarge)) {
		return err
	}
	return &BodyError{Detail: "There was an error parsing the body",
		Plainly: "body cannot be read as JSON; it must be UTF-8 and not nested too deep"}
}
