package sglang

import (
	"math"
	"math/big"
	"regexp"
	"strings"

	"scored/sglang/python"
)

// ReadBool reads a bool as pydantic's lax mode does: a bool, a number that is 0 or 1, or
// one of twelve words in any case. kind names the fault; "" means none. Table of
// pydantic's conversions: https://docs.pydantic.dev/2.11/concepts/conversion_table/.
func ReadBool(v python.Value) (value bool, kind string) {
	switch v := v.(type) {
	case bool:
		return v, ""
	case python.Int: // pydantic's parser takes integers of 64 bits
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

// fits64 reports whether pydantic takes v as a 64-bit integer. It does not take the
// smallest int64.
func fits64(v float64) bool { return v > -(1<<63) && v < 1<<63 }

// integerText matches the texts that pydantic reads as an integer: a sign, digits with
// single underscores between them, and zeros after a point. pydantic drops leading zeros
// together with underscores among them, and accepts a minus behind them, too.
var integerText = regexp.MustCompile(
	`^([+-]?(0[0_]*)?[0-9]+(_[0-9]+)*|` +
		`\+?0[0_]*-_?(0|[1-9][0-9]*(_[0-9]+)*))(\.0+)?$`)

// ReadInt reads an int as pydantic's lax mode does: an integer of any size, a bool, a
// float without a fraction that fits 64 bits, or a text. kind names the fault; "" means
// none.
func ReadInt(v python.Value) (n python.Int, kind string) {
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
		return intText(string(v))
	}
	return n, "int_type"
}

// plainInteger matches the beginning that pydantic reads before it looks for unusual
// forms, such as underscores and a fraction of zeros.
var plainInteger = regexp.MustCompile(`^-?[1-9][0-9]*`)

// intText reads a text as an integer. Like pydantic it reports a plain integer that is
// too long as too long, but an unusual one as no integer.
func intText(s string) (n python.Int, kind string) {
	const longest = 4300 // characters, including a minus: CPython's bound on int()
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

// Integers is a list of integers, read as pydantic's lax mode reads them. An integer
// that does not fit 64 bits is saturated in Small and exact in Big.
type Integers struct {
	Small []int64
	Big   map[int]python.Int // by index
}

// ReadInts reads a list of ints. It reports every element at fault, up to MaxFaults.
// The result may share memory with v: a list of plain integers, as token ids are, costs
// nothing.
func ReadInts(v python.Value, loc ...any) (ints Integers, faults []Fault) {
	if plain, ok := v.(python.Ints); ok {
		return Integers{Small: plain}, nil
	}
	list, ok := v.([]python.Value)
	if !ok {
		return ints, []Fault{NewFault("list_type", v, loc...)}
	}
	ints.Small = make([]int64, len(list))
	for i, item := range list {
		n, kind := ReadInt(item)
		if kind != "" {
			faults = append(faults, NewFault(kind, item, append(append([]any{}, loc...), i)...))
		}
		if len(faults) == MaxFaults {
			break
		}
		if ints.Small[i] = n.Int64(); n.Big != nil {
			if ints.Big == nil {
				ints.Big = map[int]python.Int{}
			}
			ints.Big[i] = n
		}
	}
	return ints, faults
}
