// Package sglang reproduces the part of sglang-jax's HTTP contract that comes from
// Python: how FastAPI and pydantic read a body, their texts for a bad one, and how
// json.dumps writes an answer. Package python below it reproduces CPython itself, and
// package launch the command line. It must not know routes or engines.
package sglang

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"scored/sglang/python"
)

// Object is a JSON object that keeps the order of its keys.
type Object []Member

// Member is a key of an Object and its value.
type Member struct {
	Key   string
	Value any
}

// JSON writes a value as json.dumps(ensure_ascii=False) does without blanks: UTF-8,
// escapes only where JSON needs them, floats as Python prints them. NaN and infinities,
// which JSON cannot hold, become null, and so does a nil slice of numbers.
//
// v may be nil, bool, int, int64, float64, string, json.RawMessage, Object, or a slice
// of these. encoding/json writes all other types, which must consist of strings and
// finite numbers.
func JSON(v any) string {
	var out strings.Builder
	write(&out, v)
	return out.String()
}

// write writes any value that JSON accepts. Types that answers hold in great numbers
// have a case of their own, which needs no reflection.
func write(out *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case int:
		out.WriteString(strconv.Itoa(v))
	case int64:
		out.WriteString(strconv.FormatInt(v, 10))
	case float64:
		writeFloat(out, v)
	case string:
		writeString(out, v)
	case json.RawMessage:
		out.Write(v)
	case Object:
		writeObject(out, v)
	case []Object:
		writeList(out, v, writeObject)
	case []string:
		writeList(out, v, writeString)
	case []int:
		writeList(out, v, func(out *strings.Builder, n int) { out.WriteString(strconv.Itoa(n)) })
	case []int64:
		writeList(out, v, func(out *strings.Builder, n int64) {
			out.WriteString(strconv.FormatInt(n, 10))
		})
	case []json.RawMessage:
		writeList(out, v, func(out *strings.Builder, text json.RawMessage) { out.Write(text) })
	case []any:
		writeList(out, v, write)
	case []float64:
		writeFloats(out, v)
	case [][]float64:
		out.Grow(numbers(v) * floatBytes)
		writeList(out, v, writeFloats)
	case [][][]float64:
		writeList(out, v, writeTable)
	default:
		out.WriteString(marshal(v))
	}
}

// writeObject writes the members in their order, even if a key is repeated.
func writeObject(out *strings.Builder, o Object) {
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		writeString(out, m.Key)
		out.WriteByte(':')
		write(out, m.Value)
	}
	out.WriteByte('}')
}

// writeList writes a list, each element by each.
func writeList[T any](out *strings.Builder, list []T, each func(*strings.Builder, T)) {
	out.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			out.WriteByte(',')
		}
		each(out, v)
	}
	out.WriteByte(']')
}

// floatBytes is the size of a float of the usual number of digits, with comma and
// brackets.
const floatBytes = 22

// numbers returns how many numbers a table has, so that memory for its text is allocated
// once.
func numbers(table [][]float64) (n int) {
	for _, row := range table {
		n += len(row)
	}
	return n
}

// writeTable writes a list of rows; null if the slice is nil.
func writeTable(out *strings.Builder, table [][]float64) {
	if table == nil {
		out.WriteString("null")
		return
	}
	writeList(out, table, writeFloats)
}

// writeFloats writes a row; null if the slice is nil, as for an item that failed.
func writeFloats(out *strings.Builder, row []float64) {
	if row == nil {
		out.WriteString("null")
		return
	}
	writeList(out, row, writeFloat)
}

// writeFloat writes a number, or null for one that JSON cannot hold.
func writeFloat(out *strings.Builder, f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		out.WriteString("null")
		return
	}
	out.WriteString(python.Float(f))
}

// writeString writes a string as UTF-8. v must be valid UTF-8: encoding/json replaces
// bytes that are not.
func writeString(out *strings.Builder, s string) {
	text := marshal(s)
	if strings.Contains(text, `\u202`) {
		// encoding/json escapes two separators for the sake of JavaScript; Python does
		// not. The last pair keeps a backslash that the client wrote from being read as
		// the beginning of such an escape.
		text = strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\\`, `\\`).Replace(text)
	}
	out.WriteString(text)
}

// marshal is encoding/json without the escapes for HTML.
func marshal(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // such values always encode
	return strings.TrimSuffix(b.String(), "\n")
}
