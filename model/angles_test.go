package model

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph" // as in forward.go
)

// TestAnglesAreExactAtAnyPosition: the cosines and sines of late tokens are as good as those of early ones.
func TestAnglesAreExactAtAnyPosition(t *testing.T) {
	n := decoder{Config: Qwen3_0_6B()}
	positions := []int32{0, 1, 2, 63, 255, 1499, 4096, 32_767, 40_959, 131_071, 1 << 20}
	exec, err := NewExec(pureGo(t), n.angles)
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	outputs, err := exec.Call(positions)
	if err != nil {
		t.Fatal(err)
	}
	half := n.HeadDim / 2
	const bound = 3 * math.Pi / (1 << 24) // up to π, of which the count, the factor and their product are float32
	for p, row := range outputs[0].Value().([][]float32) {
		for i, angle := range row {
			exact := float64(positions[p]) * math.Pow(n.RopeTheta, -float64(2*i)/float64(n.HeadDim))
			apart := math.Abs(math.Remainder(float64(angle)-exact, 2*math.Pi))
			if slack := exact * 0x1p-51; !(apart <= bound+slack) || len(row) != half { // exact has float64's own rounding
				t.Errorf("position %d, pair %d of %d: angle %v is off by %.2g", positions[p], i, len(row), angle, apart)
			}
		}
	}
}
