package app

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// TestCleanups: the last that was opened closes first, a failure stops nothing, and the
// log names it with its cause.
func TestCleanups(t *testing.T) {
	var said strings.Builder
	var order []string
	var c cleanups
	for _, name := range []string{"weights", "plugin", "engine"} {
		c.add(name, func() error {
			order = append(order, name)
			if name == "plugin" {
				return errors.New("buffers are left")
			}
			return nil
		})
	}
	log := slog.New(slog.NewTextHandler(&said, nil))
	err := c.run(log)
	if want := []string{"engine", "plugin", "weights"}; !slices.Equal(order, want) {
		t.Errorf("closed in the order %q, want %q", order, want)
	}
	if err == nil || !strings.Contains(err.Error(), "plugin") || strings.Contains(err.Error(), "engine") {
		t.Errorf("error %v, want the plugin named", err)
	}
	if lines := strings.Count(said.String(), "\n"); lines != 1 || !strings.Contains(said.String(), `"plugin does not close" error="buffers are left"`) {
		t.Errorf("the log says %q", said.String())
	}
	if err := c.run(log); err != nil || len(order) != 3 {
		t.Errorf("a second run closes again: %q, %v", order, err)
	}
}
