package tritontest

import (
	"scored/model/kernel/kerneltest"
	"scored/model/triton"
)

// Kernels are the kernels of a shape, run in plain Go. It implements kerneltest.Kernels.
type Kernels struct{ triton.Shape }

// Attend implements kerneltest.Kernels.
func (k Kernels) Attend(in kerneltest.Operands) (*kerneltest.Array, error) {
	s := k.Shape
	keys := kerneltest.New("bf16", s.Tokens, s.KVHeads*2*s.HeadDim)
	prepare := triton.Keys(s)
	err := Run(prepare.Body, prepare.Grid, in.QKV, in.QKV, in.KeyWeight, in.Angles, keys)
	if err != nil {
		return nil, err
	}
	arrays := []*kerneltest.Array{in.Spans, in.QKV, keys}
	if s.Context > 0 {
		arrays = append(arrays, in.Context)
	}
	output := kerneltest.New("bf16", s.Tokens, s.Heads*s.HeadDim)
	arrays = append(arrays, in.Ranges, in.QueryWeight, in.Angles, output)
	attend := triton.Attend(s)
	return output, Run(attend.Body, attend.Grid, arrays...)
}
