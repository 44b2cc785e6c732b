// Package python reads JSON and prints values exactly as CPython 3.12 does: json.loads
// and repr. sglang-jax's error texts contain both, so clients see them. Begin with Decode
// and Repr. tests/contract/python.py has CPython write the bodies that they are held to.
// The package must not know what a body means.
package python

import (
	"math"
	"math/big"
	"strconv"
)

// Value is a JSON value as Python has it: nil, bool, Int, float64, String, []Value,
// Ints or *Object.
type Value any

// Ints is a list of integers that fit 64 bits. It takes an eighth of the memory of a
// []Value, because lists of token ids are long.
type Ints []int64

// List returns the elements of a list of either type, and whether v is a list. Of Ints it
// makes Values, which take four times the memory.
func List(v Value) (list []Value, ok bool) {
	ints, ok := v.(Ints)
	if !ok {
		list, ok = v.([]Value)
		return list, ok
	}
	list = make([]Value, len(ints))
	for i, n := range ints {
		list[i] = Int{Small: n}
	}
	return list, true
}

// Int is an integer of any size.
type Int struct {
	Small int64
	Big   *big.Int // set if the integer does not fit Small
}

// Int64 returns the value, saturated at the ends of int64.
func (n Int) Int64() int64 {
	switch {
	case n.Big == nil:
		return n.Small
	case n.Big.Sign() < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}

// String returns the decimal digits, as Python prints them.
func (n Int) String() string {
	if n.Big != nil {
		return n.Big.String()
	}
	return strconv.FormatInt(n.Small, 10)
}

// String is a Python string. JSON's \u escapes may leave lone surrogates in it. They
// are kept in three bytes each, as UTF-8 would encode them if it allowed it (WTF-8);
// everything else is UTF-8.
type String string

// Bytes is a Python bytes object: a body that was not read as JSON.
type Bytes []byte

// Object keeps its keys in the order of their first appearance. A repeated key has its
// last value, as in Python.
type Object struct {
	Keys   []String // only set may change them
	values map[String]Value
}

// Get returns the value of a key, and whether there is one.
func (o *Object) Get(key String) (Value, bool) {
	v, ok := o.values[key]
	return v, ok
}

// set sets the value of a key. It replaces a value that the key has.
func (o *Object) set(key String, v Value) {
	if o.values == nil {
		o.values = map[String]Value{}
	}
	if _, ok := o.values[key]; !ok {
		o.Keys = append(o.Keys, key)
	}
	o.values[key] = v
}

// Default sets the value of a key that has none.
func (o *Object) Default(key String, v Value) {
	if _, ok := o.values[key]; !ok {
		o.set(key, v)
	}
}

// Size returns about how many bytes of JSON a value is, for bounds that need not be
// exact.
func Size(v Value) int {
	switch v := v.(type) {
	case String:
		return len(v) + 2
	case Ints:
		return 8 * len(v)
	case []Value:
		n := 2
		for _, item := range v {
			n += 1 + Size(item)
		}
		return n
	case *Object:
		n := 2
		for _, key := range v.Keys {
			n += len(key) + 4 + Size(v.values[key])
		}
		return n
	}
	return 8
}
