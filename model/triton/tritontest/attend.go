package tritontest

import (
	"scored/model/kernel/kerneltest"
	"scored/model/triton"
)

// Kernels are those of a shape, run in plain Go: kerneltest.Kernels.
type Kernels struct{ triton.Shape }

// Attend runs both kernels, one after the other: the mixed values [T, H·E].
func (k Kernels) Attend(in kerneltest.Operands) (*kerneltest.Array, error) {
	s := k.Shape
	keys, mixed := kerneltest.New("bf16", s.Tokens, s.KVHeads*2*s.HeadDim), kerneltest.New("bf16", s.Tokens, s.Heads*s.HeadDim)
	ready := triton.Keys(s)
	if err := Run(ready.Body, ready.Grid, in.QKV, in.QKV, in.KeyWeight, in.Angles, keys); err != nil {
		return nil, err
	}
	arrays := []*kerneltest.Array{in.Spans, in.QKV, keys}
	if s.Context > 0 {
		arrays = append(arrays, in.Context)
	}
	attend := triton.Attend(s)
	return mixed, Run(attend.Body, attend.Grid, append(arrays, in.Sight, in.QueryWeight, in.Angles, mixed)...)
}
