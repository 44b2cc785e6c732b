package score

import (
	"math"
	"slices"
	"testing"
)

// TestActivations: scores follow their definition, and overflow nowhere.
func TestActivations(t *testing.T) {
	logits := []float64{-1000, 0, math.Log(3), 1000}
	for activation, want := range map[Activation][]float64{
		Sigmoid: {0, 0.5, 0.75, 1},
		Softmax: {0, 0, 0, 1},
		Logits:  logits,
	} {
		scores := make([]float64, len(logits))
		activation.activate(scores, logits)
		for i := range want {
			if !(math.Abs(scores[i]-want[i]) <= 1e-15*max(1, math.Abs(want[i]))) {
				t.Errorf("%s of %v is %v, want %v", activation, logits, scores, want)
			}
		}
	}
	alike := make([]float64, 4)
	Softmax.activate(alike, []float64{7, 7, 7, 7})
	if !slices.Equal(alike, []float64{0.25, 0.25, 0.25, 0.25}) {
		t.Errorf("softmax of equal logits is %v", alike)
	}
}
