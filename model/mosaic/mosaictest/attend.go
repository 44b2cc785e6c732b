package mosaictest

import (
	"scored/model/kernel/kerneltest"
	"scored/model/mosaic"
)

// Kernels are the kernels of a shape, run in plain Go. It implements kerneltest.Kernels.
type Kernels struct{ mosaic.Shape }

// Attend implements kerneltest.Kernels.
func (k Kernels) Attend(in kerneltest.Operands) (*Array, error) {
	s := k.Shape
	keys := kerneltest.New("bf16", s.Tokens, s.KVHeads*2*s.HeadDim)
	err := Run(mosaic.Keys(s).Body, in.QKV, in.QKV, in.KeyWeight, in.Angles, keys)
	if err != nil {
		return nil, err
	}
	arrays := []*Array{in.Spans, in.QKV, keys}
	if s.Context > 0 {
		arrays = append(arrays, in.Context)
	}
	output := kerneltest.New("bf16", s.Tokens, s.Heads*s.HeadDim)
	arrays = append(arrays, in.Ranges, in.QueryWeight, in.Angles, output)
	return output, Run(mosaic.Attend(s).Body, arrays...)
}
