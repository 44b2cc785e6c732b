package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score"
)

// prefixes are the prefixes whose keys and values are on the device, least recently used first. Arrays are never
// written twice: going on from a prefix makes a new one, so what a step reads cannot change under it.
type prefixes struct {
	limit   int64 // bytes; the newest prefix stays even if it alone is larger
	bytes   int64
	entries []*keptPrefix
}

type keptPrefix struct {
	prefix *score.Prefix
	blocks [][]*tensors.Tensor // per block: keys, values; for kernels, both in one. See network.kept.
	bytes  int64
}

// match finds, among the kept prefixes of at most this size, the one that shares the most leading tokens with the
// prompt; among equals the one used last.
func (c *prefixes) match(prompt []int32, size int) (*score.Prefix, int) {
	var best *score.Prefix
	most := 0
	for _, e := range slices.Backward(c.entries) {
		if e.prefix.Size > size {
			continue
		}
		n := 0
		for n < len(prompt) && n < len(e.prefix.Tokens) && prompt[n] == e.prefix.Tokens[n] {
			n++
		}
		if n > most {
			best, most = e.prefix, n
		}
	}
	return best, most
}

// at gives the keys and values of a prefix, and marks it as used last.
func (c *prefixes) at(prefix *score.Prefix) (*keptPrefix, error) {
	i := slices.IndexFunc(c.entries, func(e *keptPrefix) bool { return e.prefix == prefix })
	if i < 0 {
		return nil, fmt.Errorf("prefix of %d tokens is not on the device", len(prefix.Tokens))
	}
	e := c.entries[i]
	c.entries = append(slices.Delete(c.entries, i, i+1), e)
	return e, nil
}

// put keeps a prefix just computed. A base that it contains whole is dropped, then the least recently used until the
// rest fits.
func (c *prefixes) put(next *keptPrefix, base *score.Prefix, kept int) error {
	var errs []error
	if base != nil && kept == len(base.Tokens) {
		errs = append(errs, c.forget(base))
	}
	c.entries = append(c.entries, next)
	c.bytes += next.bytes
	for c.bytes > c.limit && len(c.entries) > 1 {
		errs = append(errs, c.drop(0))
	}
	return errors.Join(errs...)
}

// forget drops a prefix, if it is there.
func (c *prefixes) forget(prefix *score.Prefix) error {
	return c.drop(slices.IndexFunc(c.entries, func(e *keptPrefix) bool { return e.prefix == prefix }))
}

func (c *prefixes) drop(i int) error {
	if i < 0 {
		return nil
	}
	e := c.entries[i]
	c.entries = slices.Delete(c.entries, i, i+1)
	c.bytes -= e.bytes
	return finalize(slices.Concat(e.blocks...)...)
}

// flush drops every prefix and returns how many there were.
func (c *prefixes) flush() (int, error) {
	n := len(c.entries)
	var errs []error
	for len(c.entries) > 0 {
		errs = append(errs, c.drop(0))
	}
	return n, errors.Join(errs...)
}

// finalize frees device memory at once; Go's collector does not see how large it is.
func finalize(all ...*tensors.Tensor) error {
	var errs []error
	for _, t := range all {
		if t != nil {
			errs = append(errs, t.FinalizeAll())
		}
	}
	return errors.Join(errs...)
}
