package server

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// body is a score request as its schema reads it. A field that may be null has a flag.
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
	surrogates string // first field with a lone surrogate, which is not valid text; "" if none
}

// readScore reads every field as FastAPI reads ScoringRequest, in the order of its
// declaration. Errors are *apiError with sglang-jax's words.
func readScore(object *python.Object) (*body, error) {
	b, f := &body{}, &sglang.Fields{Object: object}
	if b.read(f); f.Failed() {
		return nil, badRequest(sglang.Describe(f.Faults))
	}
	return b, refuse(object, scoreUnserved())
}

// decodedBytes is how much memory the values of a body may take. A score request with
// four million token ids takes half of it.
const decodedBytes = 64 << 20

// decodeObject reads a body that must be a JSON object, sent as application/json.
func decodeObject(contentType []string, data []byte) (*python.Object, error) {
	object, err := sglang.DecodeObject(contentType, data, decodedBytes)
	return object, badBody(err)
}

// badBody gives an error of reading a body its status, with sglang-jax's words and with
// plain ones for other dialects.
func badBody(err error) error {
	var body *sglang.BodyError
	if errors.As(err, &body) {
		bad := &apiError{status: http.StatusBadRequest, kind: "Bad Request", message: body.Message,
			plainly: body.Plainly}
		if body.Detail != "" {
			bad.raw = detail(body.Detail)
		}
		return bad
	}
	var large *python.TooLarge
	if errors.As(err, &large) {
		return score.Errorf(score.TooLarge, large.Field,
			"%s takes more than %d bytes of memory once it is read; split the request",
			cmp.Or(large.Field, "body"), decodedBytes)
	}
	return err
}

// read reads every field, and collects faults in pydantic's order.
func (b *body) read(f *sglang.Fields) {
	b.readQuery(f)
	b.readItems(f)
	var ints sglang.Integers
	if ints, b.hasLabels = f.Ints("label_token_ids"); b.hasLabels {
		b.labels = labelsOf(ints)
	}
	for _, field := range []struct {
		name string
		to   *bool
	}{{"apply_softmax", &b.softmax}, {"item_first", &b.itemFirst}} {
		if v, ok := f.Object.Get(python.String(field.name)); ok {
			*field.to = f.BoolOf(v, field.name)
		}
	}
	if v, ok := f.Object.Get("model"); ok {
		b.model = f.TextOf(v, "model")
	} else {
		f.Fail("missing", f.Object, "model")
	}
	b.readExtras(f)
}

// labelsOf converts ids to labels. It keeps the digits only of ids that do not fit 64
// bits.
func labelsOf(ids sglang.Integers) []score.Label {
	labels := make([]score.Label, len(ids.Small))
	for i, id := range ids.Small {
		labels[i].ID = id
		if n, ok := ids.Big[i]; ok {
			labels[i].Literal = n.String()
		}
	}
	return labels
}

// readQuery reads str | list[int] | None.
func (b *body) readQuery(f *sglang.Fields) {
	v := f.Get("query")
	if v == nil {
		return
	}
	b.hasQuery = true
	if s, ok := v.(python.String); ok {
		b.query = b.text("query", s)
		return
	}
	ints, faults := sglang.ReadInts(v, "query", "list[int]")
	if len(faults) == 0 {
		b.query = tokenPart(ints)
		return
	}
	f.Fail("string_type", v, "query", "str")
	f.Faults = append(f.Faults, faults...)
}

// readItems reads str | list[str] | list[list[int]] | None. One string is one item.
func (b *body) readItems(f *sglang.Fields) {
	v := f.Get("items")
	if v == nil {
		return
	}
	b.hasItems = true
	if s, ok := v.(python.String); ok {
		b.items = []score.Part{b.text("items", s)}
		return
	}
	list, ok := sglang.ListOf(v)
	if ok && b.readTexts(list) {
		return
	}
	if !ok {
		f.Fail("string_type", v, "items", "str")
		f.Fail("list_type", v, "items", "list[str]")
		f.Fail("list_type", v, "items", "list[list[int]]")
		return
	}
	if faults := b.readTokens(list); len(faults) > 0 {
		f.Fail("string_type", v, "items", "str")
		f.Faults = append(f.Faults, noTexts(list)...)
		f.Faults = append(f.Faults, faults...)
	}
}

// noTexts returns the faults of a list as a list of texts.
func noTexts(list []python.Value) (faults []sglang.Fault) {
	for i, item := range list {
		if _, ok := item.(python.String); ok {
			continue
		}
		faults = append(faults, sglang.NewFault("string_type", item, "items", "list[str]", i))
		if len(faults) == sglang.MaxFaults {
			break
		}
	}
	return faults
}

// readTokens reads the items as lists of token ids, or returns the faults.
func (b *body) readTokens(list []python.Value) (faults []sglang.Fault) {
	b.items = make([]score.Part, 0, len(list))
	for i, item := range list {
		ints, more := sglang.ReadInts(item, "items", "list[list[int]]", i)
		if faults = sglang.Append(faults, more...); len(faults) == sglang.MaxFaults {
			break
		}
		b.items = append(b.items, tokenPart(ints))
	}
	return faults
}

// tokenPart returns a list of token ids as a Part. It shares memory with ints.
func tokenPart(ints sglang.Integers) score.Part {
	return score.Part{IsTokens: true, Tokens: ints.Small, Beyond: beyond(ints)}
}

// beyond returns the first integer that does not fit 64 bits; nil if all fit.
func beyond(ints sglang.Integers) *score.Beyond {
	if len(ints.Big) == 0 {
		return nil
	}
	i := slices.Min(slices.Collect(maps.Keys(ints.Big)))
	return &score.Beyond{Index: i, Digits: ints.Big[i].String()}
}

// readTexts reads the items if all of them are texts. Otherwise it returns false and
// changes nothing.
func (b *body) readTexts(list []python.Value) bool {
	for _, item := range list {
		if _, ok := item.(python.String); !ok {
			return false
		}
	}
	b.items = make([]score.Part, len(list))
	for i, item := range list {
		b.items[i].Text = b.textAt("items", i, item.(python.String))
	}
	return true
}

// text returns a text, and records the field if it has a lone surrogate.
func (b *body) text(field string, s python.String) score.Part {
	if s.Surrogate() && b.surrogates == "" {
		b.surrogates = field
	}
	return score.Part{Text: string(s)}
}

// textAt is text for an element of a list. A list may have millions of elements, so the
// name is made only for one at fault.
func (b *body) textAt(list string, i int, s python.String) string {
	if s.Surrogate() && b.surrogates == "" {
		b.surrogates = fmt.Sprintf("%s[%d]", list, i)
	}
	return string(s)
}

// request returns the request for the Scorer. It checks what a score.Request cannot
// express: nulls, and text with lone surrogates.
func (b *body) request(id string, m *Model) (*score.Request, error) {
	if b.extras.sequences.badMode {
		return nil, score.Errorf(score.Invalid, "label_mode", `label_mode must be "token" or "sequence"`)
	}
	if err := b.nameLabels(m); err != nil {
		return nil, err
	}
	if !b.hasLabels {
		return nil, b.noLabels()
	}
	if err := score.CheckLabels(b.labels, m.Vocab); err != nil {
		return nil, err
	}
	if !b.hasQuery || !b.hasItems {
		return nil, score.Errorf(score.Invalid, "query", sglang.KindsMixed)
	}
	if b.surrogates != "" {
		return nil, score.Errorf(score.Invalid, b.surrogates,
			"%s holds a lone surrogate, which is no character", b.surrogates)
	}
	return &score.Request{ID: id, Query: b.query, Items: b.items, Labels: b.labels,
		Sequences: b.extras.sequences.tokens,
		Normalize: b.extras.sequences.normalize, LabelField: b.extras.sequences.field,
		ItemFirst: b.itemFirst, Softmax: b.softmax,
		Positions: b.extras.positions, PositionBeyond: b.extras.beyond,
		SequenceBeyond: b.extras.sequences.beyond,
		Truncate:       b.extras.truncate, Partial: b.extras.partial, Logprobs: b.extras.logprobs,
		PlainSpecials: b.extras.plainSpecials}, nil
}

// noLabels returns the error of a request without labels. It has sglang-jax's words, and
// a remedy if labels came in a field that is ignored.
func (b *body) noLabels() error {
	switch {
	case b.extras.sequences.asked:
		return score.Errorf(score.Invalid, "labels",
			"labels must be provided; send labels, label_tokens or label_token_ids")
	case b.extras.sequences.unread:
		return score.Errorf(score.Invalid, "label_tokens",
			sglang.LabelsMissing+`; label_tokens counts only with "label_mode": "sequence"`)
	}
	return score.Errorf(score.Invalid, "label_token_ids", sglang.LabelsMissing)
}
