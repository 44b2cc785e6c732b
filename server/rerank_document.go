package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"scored/sglang"
	"scored/sglang/python"
)

// rankFields holds the names in Cohere's rank_fields and the place of each in that
// list. It is empty if the request has no rank_fields.
type rankFields map[python.String]int

// rankFields reads rank_fields. A name that is repeated counts where it first stands.
func (f *fieldReader) rankFields() rankFields {
	const field = "rank_fields"
	v := f.Get(field)
	list, ok := sglang.ListOf(v)
	if v != nil && !ok {
		f.fail(field, "%s must be a list of the names of fields", field)
	}
	fields := rankFields{}
	for i, item := range list {
		name, ok := item.(python.String)
		if !ok {
			f.fail(field+"["+strconv.Itoa(i)+"]", "%s[%d] must be the name of a field", field, i)
		}
		if _, twice := fields[name]; !twice {
			fields[name] = i
		}
	}
	return fields
}

// document reads the text that is ranked, from a string or an object. The text of an
// object is
//   - with rank_fields, the fields that it names, in its order, each as a line "name:
//     value"; if text is the only one, its value alone;
//   - without rank_fields, its text, as with vLLM, Jina and Cohere; if it has none, all
//     its strings as such lines, as with Together.
//
// The work is proportional to the object, however many names rank_fields has.
func (f *fieldReader) document(field string, v python.Value, fields rankFields) string {
	o, ok := v.(*python.Object)
	if !ok {
		return f.text(field, v)
	}
	if len(fields) == 0 {
		_, picture := o.Get("image")
		if text, _ := o.Get("text"); text != nil || picture {
			return f.text(field, v)
		}
	}
	var picked []python.String
	for _, key := range o.Keys {
		value, _ := o.Get(key)
		_, named := fields[key]
		_, text := value.(python.String)
		if value != nil && (named || text && len(fields) == 0) {
			picked = append(picked, key)
		}
	}
	slices.SortStableFunc(picked, func(a, b python.String) int {
		return cmp.Compare(fields[a], fields[b])
	})
	switch {
	case len(picked) == 0:
		f.fail(field, "%s has no text to rank; send a string, an object with text, or one with "+
			"the fields that rank_fields names", field)
		return ""
	case len(fields) == 1 && picked[0] == "text":
		return f.line(field, o, "text")
	}
	lines := make([]string, len(picked))
	for i, key := range picked {
		lines[i] = f.characters(field, key) + ": " + f.line(field, o, key)
	}
	return strings.Join(lines, "\n")
}

// line reads a field of a document: a string, or a number or boolean as text.
func (f *fieldReader) line(field string, o *python.Object, key python.String) string {
	switch v, _ := o.Get(key); v := v.(type) {
	case python.String:
		return f.characters(field, v)
	case python.Int:
		return v.String()
	case float64:
		return python.Float(v)
	case bool:
		return strconv.FormatBool(v)
	default:
		f.fail(field, "%s has a list or an object as %q; nothing but text can be ranked", field,
			string(key))
		return ""
	}
}
