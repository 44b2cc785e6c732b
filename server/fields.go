package server

import (
	"strconv"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// fieldReader reads fields of dialects other than sglang-jax's, by kind. Only the first
// fault is reported. After a fault a method returns a value of no meaning, so a reader
// may go on and ask done at the end. Fields that one dialect alone has are
// read by its own request type, through a fieldReader.
type fieldReader struct{ sglang.Fields }

// fieldsOf returns a reader of an object that has seen no fault yet.
func fieldsOf(o *python.Object) *fieldReader { return &fieldReader{sglang.Fields{Object: o}} }

// done returns the first error. Fields that this dialect, or every dialect but
// sglang-jax's, refuses are checked last.
func (f *fieldReader) done(fields []unserved) error {
	if err := refuse(f.Object, append(placesUnserved(), fields...)); err != nil {
		f.Refuse(err)
	}
	return f.Err()
}

// fail adds a fault of a field, unless there is one already.
func (f *fieldReader) fail(field, format string, args ...any) {
	if !f.Failed() { // formatting is wasted on later faults, of which a list may have many
		f.Refuse(score.Errorf(score.Invalid, field, format, args...))
	}
}

// name reads a string that may be absent; then it is "".
func (f *fieldReader) name(field string) string { return f.characters(field, f.Text(field)) }

// characters returns the string and refuses lone surrogates.
func (f *fieldReader) characters(field string, s python.String) string {
	if s.Surrogate() {
		f.fail(field, "%s holds a lone surrogate, which is no character", field)
	}
	return string(s)
}

// integer reads an integer of at least least, or returns otherwise if it is absent. One
// beyond 64 bits is saturated.
func (f *fieldReader) integer(field string, least, otherwise int) int {
	n, ok := f.Int(field)
	switch {
	case !ok:
		return otherwise
	case n.Int64() < int64(least):
		f.fail(field, "%s is %s; it must be at least %d", field, n, least)
	}
	return int(n.Int64())
}

// text reads a query, or a document: a string, or an object with a string named text.
func (f *fieldReader) text(field string, v python.Value) string {
	if o, ok := v.(*python.Object); ok {
		v, _ = o.Get("text")
	}
	s, ok := v.(python.String)
	if !ok {
		f.fail(field, "%s must be a string, or an object whose field text is a string; nothing "+
			"but text can be ranked", field)
	}
	return f.characters(field, s)
}

// textList reads a list of at least one text.
func (f *fieldReader) textList(field string) []string {
	list, ok := sglang.ListOf(f.Get(field))
	if !ok || len(list) == 0 {
		f.fail(field, "%s must be a list of at least one text", field)
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i] = f.text(element(field, i), item); f.Failed() {
			break
		}
	}
	return texts
}

// element returns the name of an element of a list.
func element(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
