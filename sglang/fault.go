package sglang

import (
	"strconv"
	"strings"

	"scored/score"
	"scored/sglang/python"
)

// Fault is one entry of pydantic's error list. Its Python repr is part of the message
// of a refused body.
type Fault struct {
	kind  string
	loc   []any // strings and indexes
	text  string
	input python.Value
	ctx   string // repr of the ctx dict; "" if there is none

	want string // the type that Err names: boolean or integer; "" for other faults
	err  error  // error given to Fields.Refuse
}

// Text returns pydantic's sentence, which begins with a capital and names no field.
func (f *Fault) Text() string { return f.text }

// Path returns the place of the fault, such as documents[1].text.
func (f *Fault) Path() string {
	var b strings.Builder
	for _, part := range f.loc[1:] { // the first is the body
		switch part := part.(type) {
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(part)
		case int:
			b.WriteString("[" + strconv.Itoa(part) + "]")
		}
	}
	return b.String()
}

// plainly returns the fault as an error in plain English, for dialects whose clients do
// not expect Python.
func (f *Fault) plainly() error {
	if f.err != nil {
		return f.err
	}
	field := f.Path()
	switch {
	case f.want != "":
		return score.Errorf(score.Invalid, field, "%s is no %s. %s", field, f.want, f.text)
	case f.kind == "string_type":
		return score.Errorf(score.Invalid, field, "%s must be a string", field)
	case f.kind == "list_type":
		return score.Errorf(score.Invalid, field, "%s must be a list", field)
	}
	return score.Errorf(score.Invalid, field, "%s: %s", field, f.text)
}

// texts has the sentences of pydantic 2.11 for the faults that a body can have, by
// kind.
var texts = map[string]string{
	"missing": "Field required",
	"string_unicode": "Input should be a valid string, unable to parse raw data as a " +
		"unicode string",
	"string_type":           "Input should be a valid string",
	"list_type":             "Input should be a valid list",
	"bool_type":             "Input should be a valid boolean",
	"bool_parsing":          "Input should be a valid boolean, unable to interpret input",
	"int_type":              "Input should be a valid integer",
	"int_parsing":           "Input should be a valid integer, unable to parse string as an integer",
	"int_parsing_size":      "Unable to parse input string as an integer, exceeded maximum size",
	"int_from_float":        "Input should be a valid integer, got a number with a fractional part",
	"finite_number":         "Input should be a finite number",
	"model_attributes_type": "Input should be a valid dictionary or object to extract fields from",
	"json_invalid":          "JSON decode error",
	"dataclass_type":        "Input should be a dictionary or an instance of ProfileReqInput",
}

// MaxFaults is how many faults of one list are reported. sglang-jax reports all. That
// turns an item of two bytes into 250 bytes of answer, and would exhaust the memory of
// a server with a generous limit on bodies.
const MaxFaults = 10_000

// Append appends faults up to MaxFaults in all. list must not have more.
func Append(list []Fault, more ...Fault) []Fault {
	return append(list, more[:min(len(more), MaxFaults-len(list))]...)
}

// NewFault returns a fault of one of the kinds in texts. loc is the path inside the
// body: strings and indexes.
func NewFault(kind string, input python.Value, loc ...any) Fault {
	return Fault{kind: kind, loc: append([]any{"body"}, loc...), text: texts[kind], input: input}
}

// MaxInputs is about how many bytes of the body the faults repeat in all. sglang-jax
// repeats every value at fault for every type that it tried, and a byte may become five
// in the answer.
const MaxInputs = 1 << 20

// Describe formats faults as Python prints a list of dicts. An input beyond MaxInputs
// is "...".
func Describe(faults []Fault) string {
	var b strings.Builder
	room := MaxInputs
	b.WriteByte('[')
	for i, f := range faults {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("{'type': " + python.Repr(python.String(f.kind)) + ", 'loc': (")
		for k, part := range f.loc {
			if k > 0 {
				b.WriteString(", ")
			}
			switch part := part.(type) {
			case string:
				b.WriteString(python.Repr(python.String(part)))
			case int:
				b.WriteString(python.Repr(python.Int{Small: int64(part)}))
			}
		}
		if len(f.loc) == 1 {
			b.WriteByte(',')
		}
		input := "..."
		if room > 0 {
			input = python.ReprWithin(f.input, room)
			room -= len(input)
		}
		b.WriteString("), 'msg': " + python.Repr(python.String(f.text)) + ", 'input': " + input)
		if f.ctx != "" {
			b.WriteString(", 'ctx': " + f.ctx)
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.String()
}
