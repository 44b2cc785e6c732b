package score

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// encode joins and tokenizes every prompt. A text prompt is one string: merges and normalisation may cross the seam, so
// query and item are never tokenized apart. What of the query no item can change is tokenized once; head counts its
// tokens. A prompt that cannot be tokenized stays nil and fails the request or, with Request.Partial, its item.
func (s *Scorer) encode(ctx context.Context, req *Request, result *Result) (prompts [][]int32, head int, err error) {
	prompts = make([][]int32, len(req.Items))
	if req.Query.IsTokens {
		for i, item := range req.Items {
			first, second := order(req, req.Query.Tokens, item.Tokens)
			prompts[i] = narrow(first, second)
		}
		if !req.ItemFirst {
			head = len(req.Query.Tokens)
		}
		return prompts, head, nil
	}
	begin, query := s.queryHead(req)
	errs := make([]error, len(req.Items))
	s.inParallel(ctx, len(prompts), func(i int) {
		if errs[i] = s.checkBytes(i, req); errs[i] != nil {
			return
		}
		first, second := order(req, query, req.Items[i].Text)
		rest, err := s.tokenize(first+second, req.PlainSpecials)
		if len(begin) > 0 {
			rest = slices.Concat(begin, rest)
		}
		prompts[i], errs[i] = rest, err
	})
	if ctx.Err() != nil {
		return nil, 0, &Error{Kind: Deadline, Message: "request ended before its prompts were tokenized", Err: context.Cause(ctx)}
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		field := itemField(i)
		failure := &Error{Kind: Invalid, Param: field, Message: field + " cannot be tokenized", Err: err}
		_ = errors.As(err, &failure) // it may say more
		if !req.Partial {
			return nil, 0, failure
		}
		prompts[i] = nil
		result.fail(i, failure)
	}
	return prompts, len(begin), nil
}

// queryHead gives the ids of the query's beginning that are the same whatever item follows, and the text after it.
func (s *Scorer) queryHead(req *Request) (ids []int32, rest string) {
	text := req.Query.Text
	at := 0
	if !req.ItemFirst && !s.tooManyBytes(req, len(text)) {
		at = s.encoder.Cut(text)
	}
	if at == 0 {
		return nil, text
	}
	ids, err := s.tokenize(text[:at], req.PlainSpecials)
	if err != nil {
		return nil, text // each prompt will say why
	}
	return ids, text[at:]
}

// tokenize calls the Encoder. It runs on goroutines of its own, where an unhandled panic would end the process.
func (s *Scorer) tokenize(prompt string, plainSpecials bool) (ids []int32, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("tokenizer panicked: %v", fault)
		}
	}()
	return s.encoder.Encode(prompt, plainSpecials)
}

// inParallel calls do(0) … do(n-1) from at most cfg.Encoders goroutines and returns when all have ended. When ctx ends
// the calls not yet begun are left out.
func (s *Scorer) inParallel(ctx context.Context, n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(s.cfg.Encoders, n) - 1 {
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

// narrow joins two runs of ids that have been checked against the vocabulary.
func narrow(runs ...[]int64) []int32 {
	var ids []int32
	for _, run := range runs {
		for _, id := range run {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
