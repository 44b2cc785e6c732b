package sglang

import (
	"scored/sglang/python"
)

// Fields reads the fields of a body as pydantic's lax mode does, and collects faults in
// the order in which fields are read. A field that is null counts as absent. All
// dialects use it: sglang-jax's reports every fault, with Describe; the others
// report the first in plain English, with Err.
type Fields struct {
	Object *python.Object
	Faults []Fault
}

// Get returns a field's value, or nil if it is absent or null. Where the two differ in
// pydantic's schema, use Object.Get.
func (f *Fields) Get(field string) python.Value {
	v, _ := f.Object.Get(python.String(field))
	return v
}

// Fail adds a fault of pydantic's, of a kind in texts. loc is the path inside the body.
func (f *Fields) Fail(kind string, input python.Value, loc ...any) {
	f.Faults = append(f.Faults, NewFault(kind, input, loc...))
}

// Refuse adds an error that pydantic has no kind for, unless there is a fault already.
// It is for dialects that report only the first.
func (f *Fields) Refuse(err error) {
	if !f.Failed() {
		f.Faults = []Fault{{err: err}}
	}
}

// Failed reports whether there are faults.
func (f *Fields) Failed() bool { return len(f.Faults) > 0 }

// Err returns the first fault in plain English, or nil if there is none. It is a
// *score.Error with the field unless Refuse was given another error.
func (f *Fields) Err() error {
	if !f.Failed() {
		return nil
	}
	return f.Faults[0].plainly()
}

// Bool reads a boolean, or returns otherwise if the field is absent or null.
func (f *Fields) Bool(field string, otherwise bool) bool {
	v := f.Get(field)
	if v == nil {
		return otherwise
	}
	return f.BoolOf(v, field)
}

// BoolOf reads a value as a boolean. Null is a fault.
func (f *Fields) BoolOf(v python.Value, loc ...any) bool {
	value, kind := ReadBool(v)
	f.coerced("boolean", kind, v, loc...)
	return value
}

// Int reads an integer. ok is false if the field is absent or at fault.
func (f *Fields) Int(field string) (n python.Int, ok bool) {
	v := f.Get(field)
	if v == nil {
		return n, false
	}
	n, kind := ReadInt(v)
	f.coerced("integer", kind, v, field)
	return n, kind == ""
}

// coerced adds the fault of a coercion to the type want, which Err names. kind "" means
// that there is none.
func (f *Fields) coerced(want, kind string, v python.Value, loc ...any) {
	if kind == "" {
		return
	}
	fault := NewFault(kind, v, loc...)
	fault.want = want
	f.Faults = append(f.Faults, fault)
}

// Text reads a string, or returns "" if the field is absent or null. It may have lone
// surrogates, which pydantic accepts.
func (f *Fields) Text(field string) python.String {
	v := f.Get(field)
	if v == nil {
		return ""
	}
	return f.TextOf(v, field)
}

// TextOf reads a value as a string. Null is a fault.
func (f *Fields) TextOf(v python.Value, loc ...any) python.String {
	s, ok := v.(python.String)
	if !ok {
		f.Fail("string_type", v, loc...)
	}
	return s
}

// Texts reads a list of strings. It returns nil if the field is absent or no list.
// Elements that are no strings are faults, up to MaxFaults.
func (f *Fields) Texts(field string) (all []python.String) {
	v := f.Get(field)
	if v == nil {
		return nil
	}
	list, ok := ListOf(v)
	if !ok {
		f.Fail("list_type", v, field)
		return nil
	}
	all = make([]python.String, 0, len(list))
	before := len(f.Faults)
	for i, item := range list {
		s, ok := item.(python.String)
		if all = append(all, s); ok {
			continue
		}
		if f.Fail("string_type", item, field, i); len(f.Faults) == before+MaxFaults {
			break
		}
	}
	return all
}

// Ints reads a list of integers. Every element at fault is reported. ok is false if the
// field is absent.
func (f *Fields) Ints(field string) (ints Integers, ok bool) {
	v := f.Get(field)
	if v == nil {
		return ints, false
	}
	ints, faults := ReadInts(v, field)
	f.Faults = append(f.Faults, faults...)
	return ints, true
}

// ListOf returns the elements of a list that should hold anything but integers. Of a
// list of integers, each of which is at fault there, it returns at most MaxFaults: as
// values they take four times the memory of the list.
func ListOf(v python.Value) ([]python.Value, bool) {
	if ints, ok := v.(python.Ints); ok {
		v = ints[:min(len(ints), MaxFaults)]
	}
	return python.List(v)
}
