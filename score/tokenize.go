package score

import (
	"context"
	"strings"
	"sync/atomic"
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

	// A request may have retokenizedBytes of text tokenized, or retokenizedTimes its own
	// size if that is more. Only a query that cannot be cut is tokenized again with
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

// prompter makes the prompts of requests. It holds the settings that all encodings have
// in common. Only its gate changes.
type prompter struct {
	encoder  Encoder // nil: prompts are made of token ids alone
	gate     *gate   // bounds the bytes of text that are in the encoder at once
	cuts     bool    // the encoder can cut ordinary text
	uncut    int     // length in bytes of the longest text that is tokenized without a cut
	context  int     // a prompt must have fewer tokens
	truncate bool    // Config.AllowTruncate
	parallel int     // prompts of a request that are made at once
}

// newPrompter returns the prompter of a server. encoder may be nil.
func newPrompter(cfg *Config, encoder Encoder) *prompter {
	return &prompter{encoder: encoder, gate: newGate(cfg.EncodeBytes),
		cuts:    encoder != nil && encoder.Cut("two words") > 0,
		uncut:   min(max(uncutPerToken*cfg.ContextLength, minUncut), maxUncut),
		context: cfg.ContextLength, truncate: cfg.AllowTruncate, parallel: cfg.Encoders}
}

// allowance returns how many bytes of text may be tokenized for the request.
func (p *prompter) allowance(req *Request) int64 {
	sent := len(req.Query.Text)
	for _, item := range req.Items {
		sent += len(item.Text)
	}
	for _, query := range req.Queries {
		sent += len(query)
	}
	around := 2 * len(req.Queries) * min(len(req.QueryBefore)+len(req.QueryAfter), aroundBytes)
	least := int64(retokenizedBytes)
	if !p.cuts {
		least = retokenizedBlind
	}
	return max(least, retokenizedTimes*int64(sent)) + int64(around) +
		retokenizedItem*int64(len(req.Items))
}

// texts tokenizes the texts of one request and counts their bytes. It is safe for
// concurrent use.
type texts struct {
	*prompter
	ctx   context.Context
	req   *Request
	most  int64        // bytes of text that may be tokenized: see allowance
	given atomic.Int64 // bytes of text that were given to the encoder, or refused
}

// tokenize returns the ids of a text. follows says that other ids stand before it in
// the prompt. It tokenizes piece by piece, cut where that changes no id, and checks the
// context in between. Once there are limit ids it stops and returns the first limit ids
// with more set.
func (t *texts) tokenize(text string, limit int, follows bool) (ids []int32, more bool, err error) {
	for {
		if t.ctx.Err() != nil {
			return nil, false, t.ctx.Err()
		}
		n, err := t.piece(text)
		if err != nil {
			return nil, false, err
		}
		piece, err := t.tokenizePiece(text[:n], follows || ids != nil)
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
func (t *texts) piece(text string) (int, error) {
	for n := pieceBytes; n < len(text); n = min(2*n, t.uncut) {
		if at := t.encoder.Cut(text[:n]); at > 0 {
			return at, nil
		}
		if n >= t.uncut || weigh(text[:n]) > t.uncut {
			return 0, Errorf(Invalid, "", "has more than %d bytes of text without a place to cut "+
				"it for tokenizing; use a shorter text", t.uncut)
		}
	}
	if weigh(text) > t.uncut {
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
func (t *texts) tokenizePiece(text string, follows bool) ([]int32, error) {
	if t.given.Add(int64(len(text))) > t.most {
		return nil, t.tooMuch()
	}
	weight := weigh(text)
	if err := t.gate.enter(t.ctx, weight); err != nil {
		return nil, err
	}
	defer t.gate.leave(weight)
	ids, err := t.encoder.Encode(text, t.req.PlainSpecials)
	if follows && err == nil {
		ids = ids[t.encoder.Lead():]
	}
	return ids, err
}

// tooMuch returns the error of a request that has more text to tokenize than it may
// have.
func (t *texts) tooMuch() error {
	field := t.req.queriesField()
	return Errorf(TooLarge, field, "%s must be tokenized with each of %d %s, which makes more "+
		"than %d bytes of text; "+
		"split the request or send token ids", field, len(t.req.Items), t.req.itemsField(), t.most)
}
