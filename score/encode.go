package score

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// encode joins and tokenizes every prompt. A text prompt is one string, tokenized as a whole: merges and normalisation may
// cross the seam, so query and item are never tokenized apart. A prompt that cannot be tokenized stays nil and fails the
// request or, with Request.Partial, its item.
func (s *Scorer) encode(ctx context.Context, req *Request, result *Result) ([][]int32, error) {
	prompts := make([][]int32, len(req.Items))
	if req.Query.IsTokens {
		for i, item := range req.Items {
			first, second := order(req, req.Query.Tokens, item.Tokens)
			prompts[i] = narrow(first, second)
		}
		return prompts, nil
	}
	errs := make([]error, len(req.Items))
	s.inParallel(ctx, len(prompts), func(i int) {
		first, second := order(req, req.Query.Text, req.Items[i].Text)
		prompts[i], errs[i] = s.tokenize(first+second, req.PlainSpecials)
	})
	if ctx.Err() != nil {
		return nil, &Error{Kind: Deadline, Message: "request ended before its prompts were tokenized", Err: context.Cause(ctx)}
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		field := itemField(i)
		failure := &Error{Kind: Invalid, Param: field, Message: field + " cannot be tokenized", Err: err}
		if !req.Partial {
			return nil, failure
		}
		result.fail(i, failure)
	}
	return prompts, nil
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

// queryTokens counts the leading tokens of a lone prompt that come from the query: what later requests with the same
// query are likely to share.
func (s *Scorer) queryTokens(req *Request, prompts [][]int32) int {
	if len(prompts) != 1 || req.ItemFirst {
		return 0
	}
	if req.Query.IsTokens {
		return min(len(req.Query.Tokens), len(prompts[0]))
	}
	if len(req.Query.Text) < minShared {
		return 0
	}
	alone, err := s.tokenize(req.Query.Text, req.PlainSpecials)
	if err != nil {
		return 0 // the whole prompt could be tokenized; only the guess is lost
	}
	return sharedTokens(alone, prompts[0])
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
