package main

import (
	"errors"
	"fmt"
	"slices"
)

// closers closes what was opened, the last first.
type closers struct{ all []closer }

type closer struct {
	name  string // for errors
	close func() error
}

func (c *closers) add(name string, close func() error) { c.all = append(c.all, closer{name, close}) }

func (c *closers) close() (err error) {
	for _, one := range slices.Backward(c.all) {
		if fault := one.close(); fault != nil {
			err = errors.Join(err, fmt.Errorf("%s does not close: %w", one.name, fault))
		}
	}
	return err
}
