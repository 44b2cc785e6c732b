package app

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// cleanups close what was opened, the last first: what was opened later may use what was
// opened before. The zero value is ready. It is for one goroutine.
type cleanups struct{ all []cleanup }

// cleanup closes one thing, which the log calls by the name.
type cleanup struct {
	name string
	do   func() error
}

// add adds what run shall close before all that is open now.
func (c *cleanups) add(name string, do func() error) { c.all = append(c.all, cleanup{name, do}) }

// run closes everything, whatever fails, and logs each failure by the name of what does
// not close. The error names them all, without their causes. Nothing is left to be
// closed afterwards.
func (c *cleanups) run(log *slog.Logger) error {
	var failed []string
	for _, one := range slices.Backward(c.all) {
		if err := one.do(); err != nil {
			log.Error(one.name+" does not close", "error", err)
			failed = append(failed, one.name)
		}
	}
	c.all = nil
	if failed == nil {
		return nil
	}
	return fmt.Errorf("not all is closed: %s; the log tells why", strings.Join(failed, ", "))
}
