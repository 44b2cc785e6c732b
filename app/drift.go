package app

import (
	"log/slog"
	"sync/atomic"

	"scored/score"
)

// drift compares how long steps take with how long they are predicted to take. Steps are
// formed by the predictions: a wrong one costs throughput, never a score. drift
// implements score.Observer, and warns once if the two are far apart.
type drift struct {
	log *slog.Logger

	steps           atomic.Int64
	took, predicted atomic.Int64 // nanoseconds of those steps
	warned          atomic.Bool
}

const (
	// driftSteps is how many steps are compared before drift warns: the first ones are
	// slower.
	driftSteps = 100
	// driftFactor is how many times longer, or shorter, steps must take for a warning. Less
	// may come from other work on the machine.
	driftFactor = 3
)

// Observe implements score.Observer. Steps that failed do not count: they may have ended
// at any time.
func (d *drift) Observe(span score.Span) {
	if span.Stage != score.StageStep || span.Err != nil {
		return
	}
	took := d.took.Add(int64(span.End.Sub(span.Start)))
	predicted := d.predicted.Add(int64(span.Predicted))
	near := took < driftFactor*predicted && predicted < driftFactor*took
	if d.steps.Add(1) < driftSteps || near || d.warned.Swap(true) {
		return
	}
	d.log.Warn("steps take another time than predicted, by which they are formed; run scored "+
		"calibrate, and serve with --price", "measured_over_predicted", float64(took)/float64(predicted))
}
