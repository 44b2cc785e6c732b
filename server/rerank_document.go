package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"scored/sglang"
	"scored/sglang/python"
)

// documentReader reads the documents of a request to rerank.
type documentReader struct {
	*fieldReader
	// ranked holds the names in Cohere's rank_fields and the place of each in that list.
	// It is empty if the request has no rank_fields.
	ranked map[python.String]int
}

// readDocuments reads a list of at least one document, or a single document, which vLLM
// accepts, too. one reports a single document.
func readDocuments(f *fieldReader, field string) (texts []string, one bool) {
	v, d := f.Get(field), documentReader{f, readRankFields(f)}
	switch v.(type) {
	case python.String, *python.Object:
		return []string{d.document(field, v)}, true
	}
	list, _ := sglang.ListOf(v)
	if len(list) == 0 {
		f.fail(field, "%s must be a list of at least one document", field)
	}
	texts = make([]string, len(list))
	for i, item := range list {
		if texts[i] = d.document(element(field, i), item); f.Failed() {
			break
		}
	}
	return texts, false
}

// readRankFields reads rank_fields. A name that is repeated counts where it first
// stands.
func readRankFields(f *fieldReader) map[python.String]int {
	const field = "rank_fields"
	v := f.Get(field)
	list, ok := sglang.ListOf(v)
	if v != nil && !ok {
		f.fail(field, "%s must be a list of the names of fields", field)
	}
	ranked := map[python.String]int{}
	for i, item := range list {
		name, ok := item.(python.String)
		if !ok {
			f.fail(element(field, i), "%s must be the name of a field", element(field, i))
			return nil
		}
		if _, twice := ranked[name]; !twice {
			ranked[name] = i
		}
	}
	return ranked
}

// document reads the text that is ranked, from a string or an object. The text of an
// object is
//   - with rank_fields, the fields that it names, in its order, each as a line "name:
//     value"; if text is the only one, its value alone;
//   - without rank_fields, its text, as with vLLM, Jina and Cohere; if it has none, all
//     its strings as such lines, as with Together.
//
// The work is proportional to the object, however many names rank_fields has.
func (d documentReader) document(field string, v python.Value) string {
	o, ok := v.(*python.Object)
	if !ok {
		return d.text(field, v)
	}
	if len(d.ranked) == 0 {
		_, picture := o.Get("image")
		if text, _ := o.Get("text"); text != nil || picture {
			return d.text(field, v)
		}
	}
	var picked []python.String
	for _, key := range o.Keys {
		value, _ := o.Get(key)
		_, named := d.ranked[key]
		_, text := value.(python.String)
		if value != nil && (named || text && len(d.ranked) == 0) {
			picked = append(picked, key)
		}
	}
	slices.SortStableFunc(picked, func(a, b python.String) int {
		return cmp.Compare(d.ranked[a], d.ranked[b])
	})
	switch {
	case len(picked) == 0:
		d.fail(field, "%s has no text to rank; send a string, an object with text, or one with "+
			"the fields that rank_fields names", field)
		return ""
	case len(d.ranked) == 1 && picked[0] == "text":
		return d.line(field, o, "text")
	}
	lines := make([]string, len(picked))
	for i, key := range picked {
		lines[i] = d.characters(field, key) + ": " + d.line(field, o, key)
	}
	return strings.Join(lines, "\n")
}

// line reads a field of a document: a string, or a number or boolean as text. A float is
// written as Python writes it; another form of the same number would be other tokens.
func (d documentReader) line(field string, o *python.Object, key python.String) string {
	switch v, _ := o.Get(key); v := v.(type) {
	case python.String:
		return d.characters(field, v)
	case python.Int:
		return v.String()
	case float64:
		return python.Float(v)
	case bool:
		return strconv.FormatBool(v)
	default:
		d.fail(field, "%s has a list or an object as %q; nothing but text can be ranked", field,
			string(key))
		return ""
	}
}
