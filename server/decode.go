package server

import (
	"fmt"
	"maps"
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// body is a score request as its schema reads it: sglang-jax's ScoringRequest, and the
// fields that it does not have. A field that may be null has a flag.
type body struct {
	query     score.Part
	hasQuery  bool
	items     []score.Part
	hasItems  bool
	labels    labels
	softmax   bool
	itemFirst bool
	model     python.String
	extras    extras
	texts     texts
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

// read reads every field, and collects faults in pydantic's order. Fields that
// sglang-jax does not have come last, so that its own faults stay as they are.
func (b *body) read(f *sglang.Fields) {
	b.readQuery(f)
	b.readItems(f)
	b.labels.readIDs(f)
	for _, field := range []struct {
		name string
		to   *bool
	}{{"apply_softmax", &b.softmax}, {"item_first", &b.itemFirst}} {
		if v, ok := f.Object.Get(python.String(field.name)); ok { // null is a fault here
			*field.to = f.BoolOf(v, field.name)
		}
	}
	if v, ok := f.Object.Get("model"); ok {
		b.model = f.TextOf(v, "model")
	} else {
		f.Fail("missing", f.Object, "model")
	}
	b.extras.read(f)
	b.labels.readOthers(f, &b.texts)
}

// readQuery reads str | list[int] | None. pydantic tries the types in this order, and
// reports the faults of each.
func (b *body) readQuery(f *sglang.Fields) {
	v := f.Get("query")
	if v == nil {
		return
	}
	b.hasQuery = true
	if s, ok := v.(python.String); ok {
		b.query.Text = b.texts.one("query", s)
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
		b.items = []score.Part{{Text: b.texts.one("items", s)}}
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
		b.items[i].Text = b.texts.element("items", i, item.(python.String))
	}
	return true
}

// readTokens reads the items as lists of token ids, or returns the faults, at most
// MaxFaults of them.
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

// noTexts returns the faults of a list as a list of texts. They are reported only if the
// items are no lists of token ids either.
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

// tokenPart returns a list of token ids as a Part. It shares memory with ints. Whether
// the ids are in the vocabulary, the Scorer checks.
func tokenPart(ints sglang.Integers) score.Part {
	return score.Part{IsTokens: true, Tokens: ints.Small, Beyond: beyond(ints)}
}

// beyond returns the first integer that does not fit 64 bits; nil if all fit. Its digits
// are kept, because sglang-jax's error repeats them.
func beyond(ints sglang.Integers) *score.Beyond {
	if len(ints.Big) == 0 {
		return nil
	}
	i := slices.Min(slices.Collect(maps.Keys(ints.Big)))
	return &score.Beyond{Index: i, Digits: ints.Big[i].String()}
}

// texts converts the texts of a body, and keeps the first field with a lone surrogate.
// pydantic accepts one, so it is no fault of the schema; but it is no character, and a
// tokenizer cannot read it.
type texts struct {
	bad string // "" if there is none
}

// one returns a field that is a text.
func (t *texts) one(field string, s python.String) string {
	if s.Surrogate() && t.bad == "" {
		t.bad = field
	}
	return string(s)
}

// element returns an element of a list of texts. A list may have millions of elements,
// so the name is made only for one at fault.
func (t *texts) element(list string, i int, s python.String) string {
	if s.Surrogate() && t.bad == "" {
		t.bad = fmt.Sprintf("%s[%d]", list, i)
	}
	return string(s)
}
