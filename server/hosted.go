package server

import (
	"encoding/json"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// Cloud platforms that host a container send requests of all dialects to one path. The
// functions of this file tell the dialects apart.

// shapes returns the dialects that can be recognized by the body alone, in the order in
// which they are tried: docs/api.md promises it. A body with items or labels is of the
// sglang dialect.
func shapes() []dialect {
	rerank, scores := rerankDialect(), scoreDialect()
	rerank.accepts, scores.accepts = has("documents"),
		has("items", "label_token_ids", "labels", "label_tokens")
	read := scores.read
	scores.read = func(m *loaded, id string, o *python.Object) ([]part, error) {
		o.Default("model", python.String(m.served)) // a host names the model by its path
		return read(m, id, o)
	}
	classify := classifyDialect()
	classify.accepts = has("input")
	return []dialect{pairsDialect(true), teiDialect(), nimDialect(), rerank, scores, classify,
		predictDialect()}
}

// anyDialect returns dialects for a path that takes all of them. A body of no known
// shape is refused in vLLM's shape.
func anyDialect() []dialect {
	unknown := dialect{name: "unknown", shape: vllmError,
		read: func(*loaded, string, *python.Object) ([]part, error) {
			return nil, errShape("body")
		}}
	return append(append([]dialect{vertexDialect()}, shapes()...), unknown)
}

// errShape returns the error of a body, or a part of one, of no known shape.
func errShape(what string) error {
	return score.Errorf(score.Invalid, "",
		"%s is of no known shape; send items and label_token_ids, a query with documents, texts "+
			"or passages, or text_1 and text_2", what)
}

// vertexDialect is the dialect of Vertex AI's containers. Each of instances is a body of
// any other dialect, and parameters are fields that all of them have. predictions are
// their answers.
// https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
func vertexDialect() dialect {
	return dialect{name: "vertex", accepts: has("instances"), shape: googleError, read: readInstances,
		join: func(answers []string) string {
			all := make([]json.RawMessage, len(answers))
			for i, answer := range answers {
				all[i] = json.RawMessage(answer)
			}
			return sglang.JSON(sglang.Object{{Key: "predictions", Value: all}})
		}}
}

// mostParameters is the size of parameters in bytes. They are read again with each
// instance.
const mostParameters = 4096

// readInstances reads the parts of a Vertex AI request.
func readInstances(m *loaded, id string, o *python.Object) (parts []part, err error) {
	f := fieldsOf(o)
	list, ok := sglang.ListOf(f.Get("instances"))
	switch {
	case !ok || len(list) == 0:
		f.fail("instances", "instances must be a list of at least one request")
	case len(list) > mostParts:
		f.Refuse(score.Errorf(score.TooLarge, "instances",
			"instances has %d entries, the server takes %d at most; split the request", len(list),
			mostParts))
	}
	parameters := readParameters(f)
	if f.Failed() {
		return nil, f.Err()
	}
	known := shapes()
	for i, v := range list {
		at := element("instances", i)
		instance, ok := v.(*python.Object)
		if !ok {
			return nil, score.Errorf(score.Invalid, at, "%s must be an object", at)
		}
		for _, key := range parameters.Keys {
			v, _ := parameters.Get(key)
			instance.Default(key, v)
		}
		part, err := readInstance(m, id, known, instance)
		if err != nil {
			return nil, withPrefix(at+".", err)
		}
		part.prefix = at + "."
		parts = append(parts, part)
	}
	return parts, nil
}

// readParameters reads the fields that all instances have. An instance's own field has
// priority. The object is empty if there are none.
func readParameters(f *fieldReader) *python.Object {
	const field = "parameters"
	v := f.Get(field)
	o, ok := v.(*python.Object)
	switch {
	case v == nil:
	case !ok:
		f.fail(field, "%s must be an object", field)
	case python.Size(o) > mostParameters:
		f.fail(field, "%s has more than %d bytes; put what is long into the instances", field,
			mostParameters)
	default:
		return o
	}
	return &python.Object{}
}

// readInstance reads one instance as a body of one of the known dialects. Those have a
// single part each.
func readInstance(m *loaded, id string, known []dialect, o *python.Object) (part, error) {
	d := dialectOf(known, o)
	if !d.accepts(o) {
		return part{}, errShape("it")
	}
	parts, err := d.parts(m, id, o)
	if err != nil {
		return part{}, err
	}
	return parts[0], nil
}
