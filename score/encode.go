package score

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// encoding turns one request's query and items into prompts. It counts the cost as it
// arises and stops at the bounds: tokens against the reservation, bytes of text against
// the size of the request.
//
// The text of a prompt is tokenized as one string, because merges and normalisation may
// cross the border between query and item. Only the part of the query that no item can
// change is tokenized once for all.
type encoding struct {
	ctx      context.Context
	req      *Request
	result   *Result
	lengths  lengths
	texts    texts
	parallel int

	// By item. Each goroutine writes the elements of its own items.
	prompts [][]int32
	errs    []error // a prompt whose error is set stays nil
	cut     []bool  // the prompt was too long and has been cut

	stop atomic.Bool // set by an error that fails the request: other items are not begun

	mu       sync.Mutex
	reserved *reservation // mu must be held to reserve
}

// prompts returns the prompts of all items. reusable is the number of leading tokens
// that a lone row is likely to share with later requests.
//
// With Request.Partial, a prompt that cannot be made is nil, and its error is in
// result. Otherwise the error of the first such item fails the request. Every error is
// an *Error. The tokens of the prompts are reserved, also of those that were made
// before an error.
func (p *prompter) prompts(ctx context.Context, req *Request, result *Result,
	reserved *reservation) (prompts [][]int32, reusable int, err error) {
	n := len(req.Items)
	e := &encoding{ctx: ctx, req: req, result: result, reserved: reserved, parallel: p.parallel,
		lengths: lengths{req: req, context: p.context, cut: req.Truncate || p.truncate,
			tail: reserved.columns.longest},
		texts:   texts{prompter: p, ctx: ctx, req: req, most: p.allowance(req)},
		prompts: make([][]int32, n), errs: make([]error, n), cut: make([]bool, n)}
	err = guard("prompts cannot be made", func() error {
		join := e.joinTexts
		if req.Query.IsTokens {
			join = e.joinTokens
		}
		reusable, err = join()
		return err
	})
	if ctx.Err() != nil {
		return nil, 0, &Error{Kind: Deadline,
			Message: "request ended before its prompts were tokenized", Err: context.Cause(ctx)}
	}
	if err == nil {
		err = e.settle()
	}
	return e.prompts, reusable, err
}

// settle copies each item's error and cut to the result. It returns the first error
// that fails the whole request.
func (e *encoding) settle() error {
	for i, err := range e.errs {
		if e.cut[i] {
			e.result.Truncated = append(e.result.Truncated, i)
		}
		if err == nil {
			continue
		}
		failure := e.ofItem(err)
		if failure == nil {
			return err
		}
		e.prompts[i] = nil
		e.result.fail(i, failure)
	}
	return nil
}

// ofItem returns err if it fails its item alone: it must be the item's own fault, and
// the request Partial. Otherwise it returns nil.
func (e *encoding) ofItem(err error) *Error {
	var failure *Error
	if !e.req.Partial || !errors.As(err, &failure) || failure.Kind != Invalid {
		return nil
	}
	return failure
}

// joinTokens joins ids that the client has tokenized itself. It checks and reserves all
// lengths before it copies any ids.
func (e *encoding) joinTokens() (reusable int, err error) {
	query := e.req.Query.Tokens
	keep := make([]int, len(e.req.Items))
	for i, item := range e.req.Items {
		n := len(query) + len(item.Tokens)
		keep[i], e.errs[i] = e.lengths.keep(i, n, false)
		if e.errs[i] == nil {
			e.errs[i] = e.req.checkPlaces(i, keep[i])
		}
		e.cut[i] = keep[i] < n && e.errs[i] == nil
		if e.errs[i] != nil && !e.req.Partial {
			return 0, nil
		}
		if err := e.reserved.reserve(keep[i]); err != nil {
			return 0, err
		}
	}
	for i, item := range e.req.Items {
		if e.ctx.Err() != nil {
			return 0, nil
		}
		if e.errs[i] == nil {
			first, second := order(e.req, query, item.Tokens)
			e.prompts[i] = narrow(keep[i], first, second)
		}
	}
	if !e.req.ItemFirst {
		reusable = len(query)
	}
	return reusable, nil
}

// joinTexts tokenizes the ends of the query once, and each item together with the rest
// of it, in parallel.
func (e *encoding) joinTexts() (reusable int, err error) {
	if e.req.Queries != nil {
		e.inParallel(len(e.req.Items), e.joinPair)
		return 0, nil
	}
	t, err := e.tokenizeQuery(e.req.Query.Text, e.req.queryField(0))
	if err != nil {
		return 0, err
	}
	if err := e.checkRetokenized(t); err != nil {
		return 0, err
	}
	e.inParallel(len(e.req.Items), func(i int) error { return e.join(i, t) })
	return len(t.front), nil
}

// joinPair makes the prompt of item i, which has a query of its own.
func (e *encoding) joinPair(i int) error {
	t, err := e.tokenizeQuery(e.req.QueryBefore+e.req.Queries[i]+e.req.QueryAfter, e.req.queryField(i))
	if err != nil {
		return err
	}
	return e.join(i, t)
}

// join makes the prompt of item i from the tokenized query and the item's text, and
// reserves its tokens. A text that must have too many tokens is not tokenized.
func (e *encoding) join(i int, t *queryTokens) error {
	least := t.least + e.texts.encoder.Least(e.req.Items[i].Text)
	if e.lengths.tooMany(least) {
		return e.lengths.check(i, least, true)
	}
	ids, more, err := e.joined(i, t)
	if err != nil {
		return err
	}
	var keep int
	if e.req.Template != nil { // tokens are cut off the item, before the template's end
		if keep, err = e.lengths.keepInTemplate(i, len(ids), more, t.alone); err != nil {
			return err
		}
		ids = slices.Concat(ids[:keep], e.req.Template.After)
		keep = len(ids)
	} else {
		if keep, err = e.lengths.keep(i, len(ids), more); err != nil {
			return err
		}
		e.cut[i] = keep < len(ids) || more
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.reserved.reserve(keep); err != nil {
		return err
	}
	if e.prompts[i] = ids[:keep:keep]; keep < len(ids)/2 {
		e.prompts[i] = slices.Clone(ids[:keep]) // the rest need not be kept
	}
	return nil
}

// joined returns the token ids of the query and item i, without a template's end. With
// more set, they are only the beginning, as long as t.limit at least.
func (e *encoding) joined(i int, t *queryTokens) (ids []int32, more bool, err error) {
	if t.tooLong {
		return t.front, true, nil
	}
	first, second := order(e.req, t.text, e.req.Items[i].Text)
	ids, more, err = e.texts.tokenize(first+second, max(1, t.limit-len(t.front)), len(t.front) > 0)
	if err != nil {
		return nil, false, blame(e.req.itemField(i), err)
	}
	if len(t.front)+len(t.back) > 0 {
		ids = slices.Concat(t.front, ids, t.back)
	}
	return ids, more || t.backMore, nil
}

// blame adds the name of the field to the error of a text. An *Error of the Encoder
// without a field continues the sentence after the name. Any other error of the Encoder
// is Internal, not the text's fault.
func blame(field string, err error) error {
	var failure *Error
	switch {
	case !errors.As(err, &failure):
		return &Error{Kind: Internal, Message: field + " cannot be tokenized", Err: err}
	case failure.Param == "":
		return &Error{Kind: failure.Kind, Param: field, Message: field + " " + failure.Message,
			Err: failure.Err}
	}
	return err
}

// inParallel calls do(0) … do(n-1) from at most e.parallel goroutines, records each
// result, and returns when all have ended. Calls begin in order. Once the context ends
// or stop is set, no more calls begin. A panic in do becomes the item's error.
func (e *encoding) inParallel(n int, do func(i int) error) {
	var next atomic.Int64
	work := func() {
		for e.ctx.Err() == nil && !e.stop.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			e.note(i, guard("prompts cannot be made", func() error { return do(i) }))
		}
	}
	var others sync.WaitGroup
	for range min(e.parallel, n) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// note records the result of item i. An error that fails the request stops the work on
// other items.
func (e *encoding) note(i int, err error) {
	if e.errs[i] = err; err != nil && e.ofItem(err) == nil {
		e.stop.Store(true)
	}
}

// order returns query and item in the order in which a prompt has them.
func order[T any](req *Request, query, item T) (first, second T) {
	if req.ItemFirst {
		return item, query
	}
	return query, item
}

// narrow joins the first n of several runs of ids, which must have been checked against
// the vocabulary.
func narrow(n int, runs ...[]int64) []int32 {
	ids := make([]int32, 0, n)
	for _, run := range runs {
		for _, id := range run[:min(len(run), n-len(ids))] {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
