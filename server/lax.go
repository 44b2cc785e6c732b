package server

import (
	"math"
	"math/big"
	"regexp"
	"strings"

	"scored/score"
	"scored/server/internal/python"
)

// fault is one entry of pydantic's error list: what Python's repr prints in the message of a refused body.
type fault struct {
	kind  string
	loc   []any // strings and indexes
	text  string
	input python.Value
	ctx   string // repr of the ctx dict; "" if there is none
}

// The faults that a body can have, with pydantic 2.11's words.
var texts = map[string]string{
	"missing":               "Field required",
	"string_unicode":        "Input should be a valid string, unable to parse raw data as a unicode string",
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

// maxFaults is how many faults of one list are told. The peer tells all, which makes 250 bytes of answer out of an item of
// two, and would end a server whose body limit is generous.
const maxFaults = 10_000

// addFaults appends what maxFaults leaves room for.
func addFaults(list []fault, more ...fault) []fault {
	return append(list, more[:min(len(more), maxFaults-len(list))]...)
}

func newFault(kind string, input python.Value, loc ...any) fault {
	return fault{kind: kind, loc: append([]any{"body"}, loc...), text: texts[kind], input: input}
}

// maxInputs is about how many bytes of the body its faults repeat in all. The peer repeats every value at fault in every
// branch that it fails in, and a byte may be five in the answer.
const maxInputs = 1 << 20

// describe prints faults as Python prints a list of dicts. What maxInputs leaves no room for is "...".
func describe(faults []fault) string {
	var b strings.Builder
	room := maxInputs
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

// laxBool reads a bool as pydantic's lax mode does; kind names the fault, "" if there is none.
func laxBool(v python.Value) (value bool, kind string) {
	switch v := v.(type) {
	case bool:
		return v, ""
	case python.Int: // its parser takes what fits 64 bits
		switch {
		case v.Big != nil:
			return false, "bool_type"
		case v.Small == 0 || v.Small == 1:
			return v.Small == 1, ""
		}
		return false, "bool_parsing"
	case float64:
		switch {
		case v == 0 || v == 1:
			return v == 1, ""
		case v == math.Trunc(v) && fits64(v):
			return false, "bool_parsing"
		}
		return false, "bool_type"
	case python.String:
		if v.Surrogate() {
			return false, "string_unicode"
		}
		switch strings.ToLower(string(v)) {
		case "true", "t", "yes", "y", "on", "1":
			return true, ""
		case "false", "f", "no", "n", "off", "0":
			return false, ""
		}
		return false, "bool_parsing"
	}
	return false, "bool_type"
}

// fits64 leaves the smallest int64 out, as the peer does.
func fits64(v float64) bool { return v > -(1<<63) && v < 1<<63 }

// integerText is what pydantic reads as an integer: a sign, digits with single underscores between, and zeros after a point.
// It drops leading zeros with whatever underscores stand among them, and takes a minus after them too.
var integerText = regexp.MustCompile(`^([+-]?(0[0_]*)?[0-9]+(_[0-9]+)*|\+?0[0_]*-_?(0|[1-9][0-9]*(_[0-9]+)*))(\.0+)?$`)

// laxInt reads an int as pydantic's lax mode does.
func laxInt(v python.Value) (n python.Int, kind string) {
	switch v := v.(type) {
	case python.Int:
		return v, ""
	case bool:
		if v {
			n.Small = 1
		}
		return n, ""
	case float64:
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return n, "finite_number"
		case v != math.Trunc(v):
			return n, "int_from_float"
		case !fits64(v):
			return n, "int_parsing_size"
		}
		return python.Int{Small: int64(v)}, ""
	case python.String:
		if v.Surrogate() {
			return n, "string_unicode"
		}
		return laxIntText(string(v))
	}
	return n, "int_type"
}

// plainInteger is the beginning that pydantic reads before it looks for anything unusual.
var plainInteger = regexp.MustCompile(`^-?[1-9][0-9]*`)

// laxIntText reads a text as an integer. Only a plain one is called too long; an unusual one that is too long is no integer.
func laxIntText(s string) (n python.Int, kind string) {
	const longest = 4300 // characters, a minus too
	if len(plainInteger.FindString(s)) > longest {
		return n, "int_parsing_size"
	}
	s = strings.TrimSpace(s)
	if !integerText.MatchString(s) {
		return n, "int_parsing"
	}
	s, _, _ = strings.Cut(strings.ReplaceAll(s, "_", ""), ".")
	s = s[max(0, strings.IndexByte(s, '-')):] // zeros before a minus
	if strings.Count(s, "-")+len(strings.TrimLeft(s, "+-0")) > longest {
		return n, "int_parsing"
	}
	big, ok := new(big.Int).SetString(s, 10)
	switch {
	case !ok:
		return n, "int_parsing"
	case big.IsInt64():
		return python.Int{Small: big.Int64()}, ""
	}
	return python.Int{Big: big}, ""
}

// lax is a list of integers as pydantic's lax mode reads them. Those that do not fit 64 bits are saturated, and stand in big
// as well.
type lax struct {
	small []int64
	big   map[int]python.Int // by index
}

// laxInts reads a list of ints, reporting every bad element up to maxFaults. The result may share v's memory.
func laxInts(v python.Value, loc ...any) (ints lax, faults []fault) {
	if plain, ok := v.(python.Ints); ok {
		return lax{small: plain}, nil
	}
	list, ok := v.([]python.Value)
	if !ok {
		return ints, []fault{newFault("list_type", v, loc...)}
	}
	ints.small = make([]int64, len(list))
	for i, item := range list {
		n, kind := laxInt(item)
		if kind != "" {
			faults = append(faults, newFault(kind, item, append(append([]any{}, loc...), i)...))
		}
		if len(faults) == maxFaults {
			break
		}
		if ints.small[i] = n.Int64(); n.Big != nil {
			if ints.big == nil {
				ints.big = map[int]python.Int{}
			}
			ints.big[i] = n
		}
	}
	return ints, faults
}

func tokenPart(ints lax) score.Part { return score.Part{IsTokens: true, Tokens: ints.small} }
