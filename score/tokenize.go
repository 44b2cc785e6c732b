package score

import (
	"slices"
	"strings"
)

const (
	// pieceBytes is how much text is tokenized at once if the text can be cut.
	// Tokenizers take some hundred bytes of memory for each byte of text, and cannot be
	// interrupted.
	pieceBytes = 64 << 10
	// A text that cannot be cut is tokenized at once, up to uncutPerToken bytes for
	// each token of the context: few texts that fit have more. The bound is at least
	// minUncut, which takes a quarter of a second, and at most maxUncut.
	uncutPerToken = 8
	minUncut      = 256 << 10
	maxUncut      = 1 << 20

	// aroundBytes is how much of QueryBefore and QueryAfter is counted for each of a
	// request's queries. It may be tokenized twice, alone and with the item. A longer
	// text, sent once, could be used to multiply the work.
	aroundBytes = 256

	// A request may have retokenizedBytes of text tokenized, or retokenizedTimes what
	// it sent if that is more. Only a query that cannot be cut is tokenized again with
	// each item. With an Encoder that can cut texts, such a query is one long word or
	// the like, and 512 KiB take a quarter of a second. With an Encoder that cannot, it
	// is every query: retokenizedBlind holds.
	retokenizedBytes = 512 << 10
	retokenizedBlind = 8 << 20
	retokenizedTimes = 8
	// retokenizedItem is allowed for each item on top of that: the last word of the
	// query, or its beginning if it follows the item, as far as an added token may
	// reach into it. Tokenizing that much costs no more than the call itself.
	retokenizedItem = 64
)

// cutsTexts reports whether an Encoder can cut ordinary text.
func cutsTexts(encoder Encoder) bool { return encoder != nil && encoder.Cut("two words") > 0 }

// mostBytes returns how many bytes of text may be tokenized for the request.
func (s *Scorer) mostBytes(req *Request) int64 {
	sent := len(req.Query.Text)
	for _, item := range req.Items {
		sent += len(item.Text)
	}
	for _, query := range req.Queries {
		sent += len(query)
	}
	around := 2 * len(req.Queries) * min(len(req.QueryBefore)+len(req.QueryAfter), aroundBytes)
	least := int64(retokenizedBytes)
	if !cutsTexts(s.encoder) {
		least = retokenizedBlind
	}
	return max(least, retokenizedTimes*int64(sent)) + int64(around) +
		retokenizedItem*int64(len(req.Items))
}

// maxUncutBytes is the longest text in bytes that is tokenized without a cut.
func (s *Scorer) maxUncutBytes() int {
	return min(max(uncutPerToken*s.cfg.ContextLength, minUncut), maxUncut)
}

// queryTokens is the part of the prompts that does not depend on the items. With
// ItemFirst a prompt is item, text, back; otherwise it is front, text, item.
type queryTokens struct {
	front, back []int32 // token ids of each prompt's beginning and end
	text        string  // the part of the query that is tokenized together with each item
	least       int     // a lower bound of the query's tokens
	alone       int     // with a template: tokens of its beginning and of the query by itself
	limit       int     // so many tokens of a joined text suffice to decide what becomes of it
	tooLong     bool    // front alone reaches the limit; it ends there
	backMore    bool    // back alone reaches the limit, and holds only the beginning
}

// tokenizeQuery tokenizes the ends of the prompts that no item can change, and refuses
// a query that leaves no room for an item. field is the client's name of the query.
func (e *encoding) tokenizeQuery(text, field string) (*queryTokens, error) {
	req := e.req
	t := &queryTokens{text: text, least: e.encoder.Least(text), limit: e.cfg.ContextLength}
	if template := req.Template; template != nil {
		t.front = template.Before
		t.limit = max(1, e.longest(template)-len(template.After)) + 1
	}
	if e.tooMany(t.least) {
		return t, nil // checkBytes reports it for each item
	}
	var err error
	if req.ItemFirst {
		if at := e.encoder.CutFront(text); at > 0 {
			t.text = text[:at]
			t.back, t.backMore, err = e.tokenize(text[at:], t.limit, true)
		}
	} else if at := e.encoder.Cut(text); at > 0 {
		var ids []int32
		t.text = text[at:]
		ids, t.tooLong, err = e.tokenize(text[:at], t.limit-len(t.front), req.Template != nil)
		t.front = slices.Concat(t.front, ids)
	}
	if err != nil {
		return nil, blame(field, err)
	}
	if req.Template == nil {
		return t, nil
	}
	rest, more, err := e.tokenize(t.text, t.limit, true)
	if err != nil {
		return nil, blame(field, err)
	}
	t.alone = len(t.front) + len(rest)
	if template, most := t.alone+len(req.Template.After),
		e.longest(req.Template); template >= most || t.tooLong || more {
		return nil, Errorf(Invalid, field, "%s and instruction leave no room for a document: with "+
			"the template they are %d tokens "+
			"of at most %d. Use a shorter query.", field, template, most)
	}
	return t, nil
}

// checkRetokenized refuses a request at once if the part of the query that is tokenized
// with each item must come to more text than the request may have. It applies only if
// every item is tokenized in full.
func (e *encoding) checkRetokenized(t *queryTokens) error {
	if t.tooLong || e.req.Truncate || e.cfg.AllowTruncate || e.req.Partial ||
		e.req.Template != nil || e.tooMany(t.least) {
		return nil // items may be left out or cut
	}
	if total := int64(len(t.text)) * int64(len(e.req.Items)); total > e.mostBytes {
		return e.tooMuchText()
	}
	return nil
}

// tooMuchText returns the error of a request that has more text to tokenize than it may
// have.
func (e *encoding) tooMuchText() error {
	field := e.req.queriesField()
	return Errorf(TooLarge, field, "%s must be tokenized with each of %d %s, which makes more "+
		"than %d bytes of text; "+
		"split the request or send token ids", field, len(e.req.Items), e.req.itemsField(), e.mostBytes)
}

// longest returns the longest prompt in tokens that a template allows.
func (e *encoding) longest(t *Template) int {
	longest := MaxInput(e.cfg.ContextLength) - 1
	if t.Cut && t.PromptTokens > 0 {
		longest = min(longest, t.PromptTokens)
	}
	return longest
}

// tokenize returns the ids of a text. follows says that other ids stand before it in
// the prompt. It tokenizes piece by piece, cut where that changes no id, and checks the
// context in between. Once there are limit ids it stops and returns the first limit ids
// with more set.
func (e *encoding) tokenize(text string, limit int, follows bool) (ids []int32, more bool,
	err error) {
	for {
		if e.ctx.Err() != nil {
			return nil, false, e.ctx.Err()
		}
		n, err := e.piece(text)
		if err != nil {
			return nil, false, err
		}
		piece, err := e.tokenizePiece(text[:n], follows || ids != nil)
		if err != nil {
			return nil, false, err
		}
		if ids == nil {
			ids = piece
		} else {
			ids = append(ids, piece...)
		}
		text = text[n:]
		if len(text) == 0 {
			return ids, false, nil
		}
		if len(ids) >= limit {
			return ids[:limit], true, nil
		}
	}
}

// piece returns how many leading bytes of text are tokenized next. It fails if the text
// has no place to be cut within the bound.
func (e *encoding) piece(text string) (int, error) {
	most := e.maxUncutBytes()
	for n := pieceBytes; n < len(text); n = min(2*n, most) {
		if at := e.encoder.Cut(text[:n]); at > 0 {
			return at, nil
		}
		if n >= most || weigh(text[:n]) > most {
			return 0, Errorf(Invalid, "", "has more than %d bytes of text without a place to cut "+
				"it for tokenizing; use a shorter text", most)
		}
	}
	if weigh(text) > most {
		return 0, Errorf(Invalid, "", "has %d NUL characters without a place to cut it for "+
			"tokenizing; use a shorter text", strings.Count(text, "\x00"))
	}
	return len(text), nil
}

// weigh returns how many bytes a text occupies in the tokenizer, which receives a NUL
// as six bytes.
func weigh(text string) int { return len(text) + 5*strings.Count(text, "\x00") }

// tokenizePiece calls the Encoder within the bounds on bytes. With follows it removes
// the Encoder's Lead, which stands only at the beginning of a prompt.
func (e *encoding) tokenizePiece(text string, follows bool) ([]int32, error) {
	if e.bytes.Add(int64(len(text))) > e.mostBytes {
		return nil, e.tooMuchText()
	}
	weight := weigh(text)
	if err := e.gate.enter(e.ctx, weight); err != nil {
		return nil, err
	}
	defer e.gate.leave(weight)
	ids, err := e.encoder.Encode(text, e.req.PlainSpecials)
	if follows && err == nil {
		ids = ids[e.encoder.Lead():]
	}
	return ids, err
}
