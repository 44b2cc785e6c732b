package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas

	"scored/model/checkpoint"
)

// rope computes the angles of rotary positions (RoPE: RoFormer, arXiv:2104.09864).
// decoder.normRope rotates queries and keys by them.
type rope struct {
	theta   float64
	headDim int // E
	scaling checkpoint.RopeScaling
}

// frequencies returns by how many radians each token turns each pair of a head's
// numbers further, [E/2]: theta^(-2i/E) (equation 15 there), scaled.
func (r rope) frequencies() []float64 {
	frequencies := make([]float64, r.headDim/2)
	for i := range frequencies {
		frequencies[i] = r.scale(math.Pow(r.theta, -float64(2*i)/float64(r.headDim)))
	}
	return frequencies
}

// scale stretches a frequency as checkpoint.RopeScaling says.
func (r rope) scale(frequency float64) float64 {
	s := r.scaling
	if s == (checkpoint.RopeScaling{}) {
		return frequency
	}
	// How many waves fit the original length. From LowFactor to HighFactor waves, the
	// share of the frequency that stays grows from 0 to 1.
	waves := float64(s.OriginalPositions) * frequency / (2 * math.Pi)
	stays := min(max((waves-s.LowFactor)/(s.HighFactor-s.LowFactor), 0), 1)
	return frequency * (stays + (1-stays)/s.Factor)
}

// angles returns position(t) · frequency(i) without full turns: [T] -> [T, E/2] in [-π,
// π]. A float32 product would be wrong by up to 2^-24 of itself, which grows with the
// position: 0.002 at 32,000. So a full turn is divided into 2^64 parts, which int64
// counts exactly; its overflow drops full turns.
func (r rope) angles(positions *Node) *Node {
	parts := make([]int64, r.headDim/2)
	for i, frequency := range r.frequencies() {
		cycles := frequency / (2 * math.Pi)
		parts[i] = int64(math.Ldexp(cycles-math.Round(cycles), 64))
	}
	counted := Mul(ExpandDims(ConvertDType(positions, dtypes.Int64), -1),
		ExpandDims(Const(positions.Graph(), parts), 0))
	counted.AssertDims(positions.Shape().Dim(0), r.headDim/2)
	return MulScalar(float32s(counted), math.Ldexp(math.Pi, -63))
}
