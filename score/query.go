package score

import "slices"

// queryTokens is the part of the prompts that does not depend on the items. With
// ItemFirst a prompt is item, text, back; otherwise it is front, text, item.
type queryTokens struct {
	front, back []int32 // token ids of each prompt's beginning and end
	text        string  // the part of the query that is tokenized together with each item
	least       int     // a lower bound of the query's tokens
	alone       int     // with a template: tokens of its beginning and of the query by itself
	limit       int     // so many tokens of a joined text suffice to decide how much of it is kept
	tooLong     bool    // front alone reaches the limit; it ends there
	backMore    bool    // back alone reaches the limit, and holds only the beginning
}

// tokenizeQuery tokenizes the ends of the prompts that no item can change, and refuses
// a query that leaves no room for an item. field is the client's name of the query.
func (e *encoding) tokenizeQuery(text, field string) (*queryTokens, error) {
	encoder := e.texts.encoder
	t := &queryTokens{text: text, least: encoder.Least(text), limit: e.lengths.context}
	template := e.req.Template
	if template != nil {
		t.front = template.Before
		t.limit = max(1, e.lengths.longest()-len(template.After)) + 1
	}
	if e.lengths.tooMany(t.least) {
		return t, nil // join reports it for each item
	}
	var err error
	if e.req.ItemFirst {
		if at := encoder.CutFront(text); at > 0 {
			t.text = text[:at]
			t.back, t.backMore, err = e.texts.tokenize(text[at:], t.limit, true)
		}
	} else if at := encoder.Cut(text); at > 0 {
		var ids []int32
		t.text = text[at:]
		ids, t.tooLong, err = e.texts.tokenize(text[:at], t.limit-len(t.front), template != nil)
		t.front = slices.Concat(t.front, ids)
	}
	if err != nil {
		return nil, blame(field, err)
	}
	if template == nil {
		return t, nil
	}
	return t, e.checkTemplate(t, field)
}

// checkTemplate sets t.alone, and refuses a query that leaves no room for an item in
// the template.
func (e *encoding) checkTemplate(t *queryTokens, field string) error {
	rest, more, err := e.texts.tokenize(t.text, t.limit, true)
	if err != nil {
		return blame(field, err)
	}
	t.alone = len(t.front) + len(rest)
	template, most := t.alone+len(e.req.Template.After), e.lengths.longest()
	if template >= most || t.tooLong || more {
		return Errorf(Invalid, field, "%s and instruction leave no room for a document: with "+
			"the template they are %d tokens "+
			"of at most %d. Use a shorter query.", field, template, most)
	}
	return nil
}

// checkRetokenized refuses a request at once if the part of the query that is tokenized
// with each item must come to more text than the request may have. It applies only if
// every item is tokenized in full.
func (e *encoding) checkRetokenized(t *queryTokens) error {
	if t.tooLong || e.lengths.cut || e.req.Partial || e.req.Template != nil ||
		e.lengths.tooMany(t.least) {
		return nil // items may be left out or cut
	}
	if total := int64(len(t.text)) * int64(len(e.req.Items)); total > e.texts.most {
		return e.texts.tooMuch()
	}
	return nil
}
