package score

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// encoding turns one request's query and items into prompts. What that may cost is counted as it arises, and
// refused there: tokens against the reservation, bytes of text against what the client sent.
//
// A text prompt is one string: merges and normalisation may cross the seam, so query and item are never tokenized
// apart. The part of the query that no item can change is tokenized once.
type encoding struct {
	*Scorer
	ctx    context.Context
	req    *Request
	result *Result

	prompts [][]int32
	errs    []error // by item; a prompt whose error is set stays nil
	cut     []bool  // by item; its prompt was too long and has been cut
	stop    atomic.Bool

	mu       sync.Mutex
	reserved *reservation // mu must be held to reserve

	bytes     atomic.Int64 // of text given to tokenizers
	mostBytes int64
}

// encode makes every item's prompt. head is the number of leading tokens that a lone row is likely to share with later
// requests. With Request.Partial a prompt that cannot be made is nil and fails its item, in result; else the first
// such item's error fails the request.
func (s *Scorer) encode(ctx context.Context, req *Request, result *Result, reserved *reservation) (prompts [][]int32, head int, err error) {
	e := &encoding{Scorer: s, ctx: ctx, req: req, result: result, reserved: reserved, mostBytes: s.mostBytes(req),
		prompts: make([][]int32, len(req.Items)), errs: make([]error, len(req.Items)), cut: make([]bool, len(req.Items))}
	err = guard("prompts cannot be made", func() error {
		join := e.joinTexts
		if req.Query.IsTokens {
			join = e.joinTokens
		}
		head, err = join()
		return err
	})
	if ctx.Err() != nil {
		return nil, 0, &Error{Kind: Deadline, Message: "request ended before its prompts were tokenized", Err: context.Cause(ctx)}
	}
	if err == nil {
		err = e.settle()
	}
	return e.prompts, head, err
}

// settle gives each item's failure and cut to the result, or returns the first failure where one fails all.
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

// ofItem is an item's error where it fails the item alone: one that is wrong itself, with Request.Partial. Else it is nil.
func (e *encoding) ofItem(err error) *Error {
	var failure *Error
	if !e.req.Partial || !errors.As(err, &failure) || failure.Kind != Invalid {
		return nil
	}
	return failure
}

// joinTokens joins ids that the client has tokenized itself, after their lengths have been checked.
func (e *encoding) joinTokens() (head int, err error) {
	query := e.req.Query.Tokens
	keep := make([]int, len(e.req.Items))
	for i, item := range e.req.Items {
		n := len(query) + len(item.Tokens)
		keep[i], e.errs[i] = e.keep(i, n, false)
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
		head = len(query)
	}
	return head, nil
}

// joinTexts tokenizes the query's ends once and each item with the rest of it, in parallel.
func (e *encoding) joinTexts() (head int, err error) {
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

// note keeps what came of item i. What fails the request ends the work on its other items.
func (e *encoding) note(i int, err error) {
	if e.errs[i] = err; err != nil && e.ofItem(err) == nil {
		e.stop.Store(true)
	}
}

// joinPair makes the prompt of item i and its own query.
func (e *encoding) joinPair(i int) error {
	t, err := e.tokenizeQuery(e.req.QueryBefore+e.req.Queries[i]+e.req.QueryAfter, e.req.queryField(i))
	if err != nil {
		return err
	}
	return e.join(i, t)
}

// join makes the prompt of item i.
func (e *encoding) join(i int, t *queryTokens) error {
	if err := e.checkBytes(i, t.least); err != nil {
		return err
	}
	ids := t.front
	more := t.tooLong
	if !more {
		first, second := order(e.req, t.text, e.req.Items[i].Text)
		own, rest, err := e.tokenize(first+second, max(1, t.limit-len(t.front)), len(t.front) > 0)
		if err != nil {
			return blame(e.req.itemField(i), err)
		}
		if ids, more = own, rest; len(t.front)+len(t.back) > 0 {
			ids = slices.Concat(t.front, own, t.back)
		}
		more = more || t.backMore
	}
	keep, err := e.keepOf(i, len(ids), more, t)
	if err != nil {
		return err
	}
	if e.req.Template != nil { // what is cut is the item's, before the template's end
		ids = slices.Concat(ids[:keep], e.req.Template.After)
		keep = len(ids)
	} else {
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

// blame makes the error of a text one that names its field. An *Error of the Encoder without a field goes on after its
// name; any other of the Encoder's errors is no fault of the text.
func blame(field string, err error) error {
	var failure *Error
	switch {
	case !errors.As(err, &failure):
		return &Error{Kind: Internal, Message: field + " cannot be tokenized", Err: err}
	case failure.Param == "":
		return &Error{Kind: failure.Kind, Param: field, Message: field + " " + failure.Message, Err: failure.Err}
	}
	return err
}

// inParallel calls do(0) … do(n-1) from at most cfg.Encoders goroutines, notes what comes of each, and returns when all
// have ended. Calls are begun in order. When the context ends or stop is set, those not yet begun are left out.
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
	for range min(e.cfg.Encoders, n) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

func order[T any](req *Request, query, item T) (first, second T) {
	if req.ItemFirst {
		return item, query
	}
	return query, item
}

// narrow joins the first n of two runs of ids that have been checked against the vocabulary.
func narrow(n int, runs ...[]int64) []int32 {
	ids := make([]int32, 0, n)
	for _, run := range runs {
		for _, id := range run[:min(len(run), n-len(ids))] {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
