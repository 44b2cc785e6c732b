package app

import (
	"log/slog"
	"sync/atomic"

	"scored/score"
)

// drift compares the times of steps with their predictions, by which steps are formed.
// It implements score.Observer, and warns once if they are far apart.
type drift struct {
	log *slog.Logger

	steps           atomic.Int64
	took, predicted atomic.Int64 // nanoseconds of those steps
	said            atomic.Bool
}

const (
	driftSteps = 100 // so many steps are compared before anything is said
	farApart   = 3   // times longer, or shorter
)

// Observe implements score.Observer.
func (d *drift) Observe(span score.Span) {
	if span.Stage != score.StageStep || span.Err != nil {
		return
	}
	took := d.took.Add(int64(span.End.Sub(span.Start)))
	predicted := d.predicted.Add(int64(span.Predicted))
	if d.steps.Add(1) < driftSteps || took < farApart*predicted && predicted < farApart*took ||
		d.said.Swap(true) {
		return
	}
	d.log.Warn("steps take another time than predicted, by which they are formed; run scored "+
		"calibrate, and serve with --price", "measured_over_predicted", float64(took)/float64(predicted))
}
