package target

import "math"

// Sample is a step that has been timed.
type Sample struct {
	Work    Work
	Seconds float64
}

// Fit returns the price that predicts the samples best: by least squares of the
// logarithm of predicted over measured time, so a relative error counts the same in
// short and long steps. The search begins at from. It keeps from's TokenKeys,
// CachedTokens and Uncached, which a few samples cannot determine.
func Fit(from Price, samples []Sample) Price {
	best := from
	if len(samples) == 0 {
		return best
	}
	least := best.misfit(samples)
	for step := 2.0; step > 1.001; {
		improved := false
		for _, coefficient := range []func(*Price) *float64{
			func(p *Price) *float64 { return &p.Idle }, func(p *Price) *float64 { return &p.Flops },
			func(p *Price) *float64 { return &p.Bytes }, func(p *Price) *float64 { return &p.Attention },
		} {
			for _, factor := range []float64{step, 1 / step} {
				tried := best
				*coefficient(&tried) *= factor
				if misfit := tried.misfit(samples); misfit < least {
					best, least, improved = tried, misfit, true
				}
			}
		}
		if !improved {
			step = math.Sqrt(step)
		}
	}
	return best
}

// misfit returns the sum of squared logarithms of predicted over measured time.
func (p Price) misfit(samples []Sample) (sum float64) {
	for _, s := range samples {
		off := math.Log(p.seconds(s.Work) / s.Seconds)
		sum += off * off
	}
	return sum
}

// Off returns the relative error of the price for a sample: 0.1 means that it predicts
// a tenth too much.
func (p Price) Off(s Sample) float64 { return p.seconds(s.Work)/s.Seconds - 1 }
