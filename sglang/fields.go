package sglang

import (
	"scored/sglang/python"
)

// Fields reads the fields of a body as pydantic's lax mode does, and keeps what is wrong with them in the order in which
// they are read. A field that is null is as good as absent. It is for all dialects: sglang-jax's tells every fault, with
// Describe, and the others the first in plain words, with Err.
type Fields struct {
	Object *python.Object
	Faults []Fault
}

// Get gives a field's value; nil if it is absent or null.
func (f *Fields) Get(field string) python.Value {
	v, _ := f.Object.Get(python.String(field))
	return v
}

// Fail adds a fault of pydantic's.
func (f *Fields) Fail(kind string, input python.Value, loc ...any) {
	f.Faults = append(f.Faults, NewFault(kind, input, loc...))
}

// Refuse adds a fault that pydantic has no word for, unless there is one already. It is for dialects that tell the first.
func (f *Fields) Refuse(err error) {
	if !f.Failed() {
		f.Faults = []Fault{{err: err}}
	}
}

// Failed tells whether there are faults.
func (f *Fields) Failed() bool { return len(f.Faults) > 0 }

// Err is the first fault in plain words, a *score.Error with the field unless Refuse was given another; nil if there is
// none.
func (f *Fields) Err() error {
	if !f.Failed() {
		return nil
	}
	return f.Faults[0].plainly()
}

// Bool reads a boolean.
func (f *Fields) Bool(field string, otherwise bool) bool {
	v := f.Get(field)
	if v == nil {
		return otherwise
	}
	return f.BoolOf(v, field)
}

// BoolOf reads a value as a boolean, for which null is a fault.
func (f *Fields) BoolOf(v python.Value, loc ...any) bool {
	value, kind := ReadBool(v)
	f.coerced("boolean", kind, v, loc...)
	return value
}

// Int reads an integer; ok is false if it is absent or at fault.
func (f *Fields) Int(field string) (n python.Int, ok bool) {
	v := f.Get(field)
	if v == nil {
		return n, false
	}
	n, kind := ReadInt(v)
	f.coerced("integer", kind, v, field)
	return n, kind == ""
}

// coerced notes what came of a coercion to what was wanted; kind "" is no fault.
func (f *Fields) coerced(want, kind string, v python.Value, loc ...any) {
	if kind == "" {
		return
	}
	fault := NewFault(kind, v, loc...)
	fault.want = want
	f.Faults = append(f.Faults, fault)
}

// Text reads a string; "" if it is absent.
func (f *Fields) Text(field string) python.String {
	v := f.Get(field)
	if v == nil {
		return ""
	}
	return f.TextOf(v, field)
}

// TextOf reads a value as a string, for which null is a fault.
func (f *Fields) TextOf(v python.Value, loc ...any) python.String {
	s, ok := v.(python.String)
	if !ok {
		f.Fail("string_type", v, loc...)
	}
	return s
}

// Texts reads a list of strings, up to MaxFaults of which are told that are none; nil if it is absent or no list.
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

// Ints reads a list of integers, of which every one that is wrong is a fault; ok is false if it is absent.
func (f *Fields) Ints(field string) (ints Integers, ok bool) {
	v := f.Get(field)
	if v == nil {
		return ints, false
	}
	ints, faults := ReadInts(v, field)
	f.Faults = append(f.Faults, faults...)
	return ints, true
}

// ListOf gives the elements of a list of anything but integers. Of integers, each of which is at fault there, it gives no
// more than faults are told: they take four times the memory of the list.
func ListOf(v python.Value) ([]python.Value, bool) {
	if ints, ok := v.(python.Ints); ok {
		v = ints[:min(len(ints), MaxFaults)]
	}
	return python.List(v)
}
