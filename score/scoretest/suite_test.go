package scoretest

import (
	"testing"

	"scored/score/plan"
)

// TestFakeKeepsTheContract: the fake engine is held to what real ones are held to.
func TestFakeKeepsTheContract(t *testing.T) {
	Run(t, &Fake{Shapes: []plan.Bucket{
		{Tokens: 64, Rows: 4, Length: 64, Cost: 1}, {Tokens: 64, Rows: 4, Length: 32, Context: 64, Cost: 2},
		{Tokens: 128, Rows: 8, Length: 64, Context: 256, Cost: 4},
	}}, Options{Vocab: 512, Near: func(got, want []float32) bool {
		for i := range want {
			if got[i]-want[i] > 1e-4 || want[i]-got[i] > 1e-4 {
				return false
			}
		}
		return true
	}})
}
