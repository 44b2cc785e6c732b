package server

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"scored/score"
	"scored/server/internal/python"
)

// body is a score request as its schema reads it: what may be null has a flag.
type body struct {
	query      score.Part
	hasQuery   bool
	items      []score.Part
	hasItems   bool
	labels     []score.Label
	hasLabels  bool
	softmax    bool
	itemFirst  bool
	model      python.String
	extras     extras
	surrogates string // the first field with a lone surrogate, which is no text; "" if there is none
}

// readScore reads every field as FastAPI reads them for ScoringRequest, in the model's order. Its errors are *apiError
// with sglang-jax's words.
func readScore(object *python.Object) (*body, error) {
	b := &body{}
	if faults := b.read(object); len(faults) > 0 {
		return nil, badRequest(describe(faults))
	}
	return b, refuse(object, scoreUnserved())
}

// decodedBytes is how much memory the values of a body may take. A score request of four million token ids takes half of it.
const decodedBytes = 64 << 20

// decodeObject reads a body that must be a JSON object, sent as application/json. Its errors are *apiError with
// sglang-jax's words, and with plain ones for other dialects.
func decodeObject(contentType []string, data []byte) (*python.Object, error) {
	parse, right := jsonContent(contentType)
	var value python.Value
	if parse && len(data) > 0 {
		var err error
		if value, err = python.Decode(data, decodedBytes); err != nil {
			return nil, jsonError(err)
		}
	}
	if !right {
		return nil, badBody(" [{'loc': ['header', 'content-type'], 'msg': \"Unsupported Media Type: Only 'application/json' is allowed\", 'type': 'value_error'}]",
			"header Content-Type must be application/json")
	}
	if value == nil {
		return nil, badBody(describe([]fault{newFault("missing", nil)}), "body is empty; send a JSON object")
	}
	object, ok := value.(*python.Object)
	if !ok {
		return nil, badBody(describe([]fault{newFault("model_attributes_type", value)}), "body must be a JSON object")
	}
	return object, nil
}

// jsonContent tells whether the body is parsed as JSON, as FastAPI decides it, and whether the content type is the one
// accepted, which the peer decides by itself and without trimming blanks. Headers are Latin-1 to both.
func jsonContent(header []string) (parse, right bool) {
	if len(header) == 0 || header[0] == "" {
		return true, false
	}
	before, _, _ := strings.Cut(header[0], ";")
	characters := make([]rune, len(before))
	for i := range len(before) {
		characters[i] = rune(before[i])
	}
	media := strings.ToLower(string(characters))
	subtype, application := strings.CutPrefix(strings.TrimFunc(media, func(r rune) bool {
		return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f // str.strip
	}), "application/")
	parse = application && !strings.Contains(subtype, "/") && (subtype == "json" || strings.HasSuffix(subtype, "+json"))
	return parse, media == "application/json"
}

func jsonError(err error) error {
	var syntax *python.SyntaxError
	if errors.As(err, &syntax) {
		f := newFault("json_invalid", &python.Object{}, syntax.Pos)
		f.ctx = "{'error': " + python.Repr(python.String(syntax.Message)) + "}"
		return badBody(describe([]fault{f}), fmt.Sprintf("body is no JSON: %s at character %d", syntax.Message, syntax.Pos))
	}
	var large *python.TooLarge
	if errors.As(err, &large) {
		return score.Errorf(score.TooLarge, large.Field, "%s takes more than %d bytes of memory once it is read; split the request",
			cmp.Or(large.Field, "body"), decodedBytes)
	}
	return &apiError{status: 400, kind: "Bad Request", raw: `{"detail":"There was an error parsing the body"}`,
		plainly: "body cannot be read as JSON; it must be UTF-8 and not nested too deep"}
}

// read takes every field, and returns pydantic's faults in its order.
func (b *body) read(o *python.Object) (faults []fault) {
	faults = append(faults, b.readQuery(o)...)
	faults = append(faults, b.readItems(o)...)
	if v, ok := o.Get("label_token_ids"); ok && v != nil {
		ints, more := laxInts(v, "label_token_ids")
		faults = append(faults, more...)
		b.hasLabels = true
		b.labels = labelsOf(ints)
	}
	for _, field := range []struct {
		name string
		to   *bool
	}{{"apply_softmax", &b.softmax}, {"item_first", &b.itemFirst}} {
		if v, ok := o.Get(python.String(field.name)); ok {
			value, kind := laxBool(v)
			if kind != "" {
				faults = append(faults, newFault(kind, v, field.name))
			}
			*field.to = value
		}
	}
	switch v, ok := o.Get("model"); name := v.(type) {
	case python.String:
		b.model = name
	default:
		if !ok {
			faults = append(faults, newFault("missing", o, "model"))
		} else {
			faults = append(faults, newFault("string_type", v, "model"))
		}
	}
	return append(faults, b.readExtras(o)...)
}

// labelsOf keeps the digits only of ids that 64 bits do not hold.
func labelsOf(ids lax) []score.Label {
	labels := make([]score.Label, len(ids.small))
	for i, id := range ids.small {
		labels[i].ID = id
		if n, ok := ids.big[i]; ok {
			labels[i].Literal = n.String()
		}
	}
	return labels
}

// readQuery reads str | list[int] | None.
func (b *body) readQuery(o *python.Object) []fault {
	v, _ := o.Get("query")
	if v == nil {
		return nil
	}
	b.hasQuery = true
	if s, ok := v.(python.String); ok {
		b.query = b.text("query", s)
		return nil
	}
	ints, faults := laxInts(v, "query", "list[int]")
	if len(faults) == 0 {
		b.query = tokenPart(ints)
		return nil
	}
	return append([]fault{newFault("string_type", v, "query", "str")}, faults...)
}

// readItems reads str | list[str] | list[list[int]] | None. One string is one item.
func (b *body) readItems(o *python.Object) []fault {
	v, _ := o.Get("items")
	if v == nil {
		return nil
	}
	b.hasItems = true
	if s, ok := v.(python.String); ok {
		b.items = []score.Part{b.text("items", s)}
		return nil
	}
	list, ok := listOf(v)
	if ok && b.readTexts(list) {
		return nil
	}
	faults := []fault{newFault("string_type", v, "items", "str")}
	if !ok {
		return append(faults, newFault("list_type", v, "items", "list[str]"), newFault("list_type", v, "items", "list[list[int]]"))
	}
	var noTexts []fault
	for i, item := range list {
		if _, ok := item.(python.String); ok {
			continue
		}
		if noTexts = addFaults(noTexts, newFault("string_type", item, "items", "list[str]", i)); len(noTexts) == maxFaults {
			break
		}
	}
	var noTokens []fault
	for i, item := range list {
		ints, more := laxInts(item, "items", "list[list[int]]", i)
		if noTokens = addFaults(noTokens, more...); len(noTokens) == maxFaults {
			break
		}
		b.items = append(b.items, tokenPart(ints))
	}
	if len(noTokens) == 0 {
		return nil
	}
	return slices.Concat(faults, noTexts, noTokens)
}

// listOf gives the elements of a list of anything but integers. Of integers, each of which is at fault there, it gives no
// more than faults are told: they take four times the memory of the list.
func listOf(v python.Value) ([]python.Value, bool) {
	if ints, ok := v.(python.Ints); ok {
		v = ints[:min(len(ints), maxFaults)]
	}
	return python.List(v)
}

// readTexts takes the items if all of them are texts.
func (b *body) readTexts(list []python.Value) bool {
	for _, item := range list {
		if _, ok := item.(python.String); !ok {
			return false
		}
	}
	b.items = make([]score.Part, len(list))
	for i, item := range list {
		text := item.(python.String)
		b.items[i].Text = string(text)
		if b.surrogates == "" && text.Surrogate() {
			b.surrogates = fmt.Sprintf("items[%d]", i)
		}
	}
	return true
}

func (b *body) text(field string, s python.String) score.Part {
	if s.Surrogate() && b.surrogates == "" {
		b.surrogates = field
	}
	return score.Part{Text: string(s)}
}

// request checks what the domain cannot express, nulls and text that is none, and gives the rest to it.
func (b *body) request(id string, m *Model) (*score.Request, error) {
	if err := b.nameLabels(m); err != nil {
		return nil, err
	}
	if !b.hasLabels {
		return nil, score.Errorf(score.Invalid, "label_token_ids", "label_token_ids must be provided")
	}
	if err := score.CheckLabels(b.labels, m.BaseVocab, m.Vocab); err != nil {
		return nil, err
	}
	if !b.hasQuery || !b.hasItems {
		return nil, score.Errorf(score.Invalid, "query", "Invalid combination of query/items types for score_request.")
	}
	if b.surrogates != "" {
		return nil, score.Errorf(score.Invalid, b.surrogates, "%s holds a lone surrogate, which is no character", b.surrogates)
	}
	return &score.Request{ID: id, Query: b.query, Items: b.items, Labels: b.labels, ItemFirst: b.itemFirst, Softmax: b.softmax,
		Positions: b.extras.positions, Truncate: b.extras.truncate, Partial: b.extras.partial, Logprobs: b.extras.logprobs, PlainSpecials: b.extras.plainSpecials}, nil
}
