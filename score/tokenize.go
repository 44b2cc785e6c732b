package score

import (
	"slices"
	"strings"
)

const (
	// pieceBytes is how much text is tokenized at once where the text can be cut. Tokenizers take some hundred bytes of
	// memory a byte of text, and nothing stops them.
	pieceBytes = 64 << 10
	// Where a text cannot be cut, it is tokenized at once up to wholeBytes for each token of the context: few texts that
	// fit have more. It is leastWhole at least, which takes a quarter of a second, and mostWhole at most.
	wholeBytes = 8
	leastWhole = 256 << 10
	mostWhole  = 1 << 20

	// aroundBytes of what stands around each of a request's queries may be tokenized with it, twice: by itself and with
	// the item. A longer text that is sent once could be multiplied so.
	aroundBytes = 256

	// A request may have retokenizedBytes of text tokenized, or retokenizedTimes what it sent, if that is more. Only a
	// query that cannot be cut is read again for each item. With an Encoder that can cut texts, such a query is one long
	// word or the like, and 512 KiB take a quarter of a second. With one that cannot, every query is read so.
	retokenizedBytes = 512 << 10
	retokenizedBlind = 8 << 20
	retokenizedTimes = 8
	// retokenizedItem may be read again with each item beside that: a query's last word or, behind the item, its beginning,
	// as long as an added token may reach into it. It costs no more than the call of the tokenizer.
	retokenizedItem = 64
)

// cutsTexts tells whether an Encoder can cut ordinary text.
func cutsTexts(encoder Encoder) bool { return encoder != nil && encoder.Cut("two words") > 0 }

// mostBytes is how many bytes of text may be tokenized for the request.
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
	return max(least, retokenizedTimes*int64(sent)) + int64(around) + retokenizedItem*int64(len(req.Items))
}

// whole is the longest text that is tokenized where it cannot be cut.
func (s *Scorer) whole() int { return min(max(wholeBytes*s.cfg.ContextLength, leastWhole), mostWhole) }

// queryTokens is what of the prompts does not depend on the items.
type queryTokens struct {
	front, back []int32 // ids of each prompt's beginning and of its end
	text        string  // what stands between front and the item, or between the item and back
	least       int     // the query has at least so many tokens
	alone       int     // the query's tokens by itself and the template's beginning; with a template only
	limit       int     // of a joined text's tokens no more are needed to know what becomes of it
	tooLong     bool    // front alone reaches the limit; it ends there
	backMore    bool    // back alone reaches the limit, and is only its beginning
}

// tokenizeQuery tokenizes the ends of the prompts that no item can change, and refuses a query that leaves no room.
// field is what the client calls the query.
func (e *encoding) tokenizeQuery(text, field string) (*queryTokens, error) {
	req := e.req
	t := &queryTokens{text: text, least: e.encoder.Least(text), limit: e.cfg.ContextLength}
	if template := req.Template; template != nil {
		t.front = template.Before
		t.limit = max(1, e.longest(template)-len(template.After)) + 1
	}
	if e.tooMany(t.least) {
		return t, nil // each item says so
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
	if template, most := t.alone+len(req.Template.After), e.longest(req.Template); template >= most || t.tooLong || more {
		return nil, Errorf(Invalid, field, "%s and instruction leave no room for a document: with the template they are %d tokens "+
			"of at most %d. Use a shorter query.", field, template, most)
	}
	return t, nil
}

// checkRetokenized refuses at once what must come to more text to tokenize than the request may have: the part of the query
// that is read again with each item, where every item is.
func (e *encoding) checkRetokenized(t *queryTokens) error {
	if t.tooLong || e.req.Truncate || e.cfg.AllowTruncate || e.req.Partial || e.req.Template != nil || e.tooMany(t.least) {
		return nil // less of it may be read
	}
	if total := int64(len(t.text)) * int64(len(e.req.Items)); total > e.mostBytes {
		return e.tooMuchText()
	}
	return nil
}

func (e *encoding) tooMuchText() error {
	field := e.req.queriesField()
	return Errorf(TooLarge, field, "%s must be tokenized with each of %d %s, which makes more than %d bytes of text; "+
		"split the request or send token ids", field, len(e.req.Items), e.req.itemsField(), e.mostBytes)
}

// longest is the longest prompt that a template allows.
func (e *encoding) longest(t *Template) int {
	longest := MaxInput(e.cfg.ContextLength) - 1
	if t.Cut && t.PromptTokens > 0 {
		longest = min(longest, t.PromptTokens)
	}
	return longest
}

// tokenize gives the ids of a text; follows tells whether others stand before it in the prompt. It goes from piece to
// piece, cut where that changes no id, and asks the context in between. It ends early with more set once there are limit
// ids; then the ids are the text's first ones.
func (e *encoding) tokenize(text string, limit int, follows bool) (ids []int32, more bool, err error) {
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

// piece is how many leading bytes of text are tokenized next.
func (e *encoding) piece(text string) (int, error) {
	whole := e.whole()
	for n := pieceBytes; n < len(text); n = min(2*n, whole) {
		if at := e.encoder.Cut(text[:n]); at > 0 {
			return at, nil
		}
		if n >= whole || weigh(text[:n]) > whole {
			return 0, Errorf(Invalid, "", "has more than %d bytes of text without a place to cut it for tokenizing; use a shorter text", whole)
		}
	}
	if weigh(text) > whole {
		return 0, Errorf(Invalid, "", "has %d NUL characters without a place to cut it for tokenizing; use a shorter text", strings.Count(text, "\x00"))
	}
	return len(text), nil
}

// weigh is how many bytes a text has in a tokenizer, where a NUL crosses as six.
func weigh(text string) int { return len(text) + 5*strings.Count(text, "\x00") }

// tokenizePiece calls the Encoder, whose Lead stands at a prompt's beginning alone.
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
