package model

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph" // as in rope.go

	"scored/model/checkpoint"
)

// TestAnglesAreExactAtAnyPosition: angles of late positions are as exact as those of
// early ones.
func TestAnglesAreExactAtAnyPosition(t *testing.T) {
	n := decoder{Config: checkpoint.Qwen3_0_6B()}
	positions := []int32{0, 1, 2, 63, 255, 1499, 4096, 32_767, 40_959, 131_071, 1 << 20}
	exec, err := NewExec(pureGo(t), n.rope().angles)
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

// TestRopeScaling: short waves stay, long ones are stretched by the whole factor, those
// between by less, and longer waves stay longer.
func TestRopeScaling(t *testing.T) {
	turns := rope{theta: 5e5, headDim: 128}
	plain := turns.frequencies()
	// what Llama 3.2 has
	turns.scaling = checkpoint.RopeScaling{Factor: 32, LowFactor: 1, HighFactor: 4, OriginalPositions: 8192}
	scaled := turns.frequencies()
	between := 0
	for i := range plain {
		wave := 2 * math.Pi / plain[i]
		ratio := plain[i] / scaled[i]
		switch {
		case wave < 8192/4 && ratio != 1:
			t.Errorf("pair %d turns once in %.0f tokens and is slowed %v times, want once", i, wave, ratio)
		case wave > 8192/1 && math.Abs(ratio-32) > 1e-12:
			t.Errorf("pair %d turns once in %.0f tokens and is slowed %v times, want 32", i, wave, ratio)
		case wave > 8192/4 && wave < 8192:
			between++
			if ratio < 1 || ratio > 32 {
				t.Errorf("pair %d is slowed %v times, want 1 to 32", i, ratio)
			}
		}
		if i > 0 && scaled[i] >= scaled[i-1] {
			t.Errorf("pair %d turns no slower than the one before", i)
		}
	}
	if between == 0 {
		t.Error("no pair lies between short and long waves")
	}
}
