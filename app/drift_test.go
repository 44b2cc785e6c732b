package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"scored/score"
)

// TestDrift: one line, once steps have been three times as long, or as short, as
// predicted for a while.
func TestDrift(t *testing.T) {
	for name, c := range map[string]struct {
		took  time.Duration
		steps int
		err   error
		lines int
	}{
		"as predicted": {12 * time.Millisecond, 1000, nil, 0},
		"too long":     {31 * time.Millisecond, 1000, nil, 1},
		"too short":    {3 * time.Millisecond, 1000, nil, 1},
		"too few":      {31 * time.Millisecond, driftSteps - 1, nil, 0},
		"failed":       {31 * time.Millisecond, 1000, errors.New("fell over"), 0},
	} {
		var log bytes.Buffer
		d := &drift{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range c.steps {
			d.Observe(score.Span{Stage: score.StageWait, End: time.Now()})
			d.Observe(score.Span{Stage: score.StageStep, Start: time.Time{}, End: time.Time{}.Add(c.took), Err: c.err,
				Predicted: 10 * time.Millisecond})
		}
		if n := strings.Count(log.String(), "scored calibrate"); n != c.lines {
			t.Errorf("%s: %d lines, want %d: %s", name, n, c.lines, log.String())
		}
	}
}
