package mosaictest

import (
	"scored/model/kernel/kerneltest"
	"scored/model/mosaic"
)

// Kernels are those of a shape, run in plain Go: kerneltest.Kernels.
type Kernels struct{ mosaic.Shape }

// Attend runs both kernels, one after the other: the mixed values [T, H·E].
func (k Kernels) Attend(in kerneltest.Operands) (*Array, error) {
	s := k.Shape
	keys, mixed := kerneltest.New("bf16", s.Tokens, s.KVHeads*2*s.HeadDim), kerneltest.New("bf16", s.Tokens, s.Heads*s.HeadDim)
	if err := Run(mosaic.Keys(s).Body, in.QKV, in.QKV, in.KeyWeight, in.Angles, keys); err != nil {
		return nil, err
	}
	arrays := []*Array{in.Spans, in.QKV, keys}
	if s.Context > 0 {
		arrays = append(arrays, in.Context)
	}
	return mixed, Run(mosaic.Attend(s).Body, append(arrays, in.Sight, in.QueryWeight, in.Angles, mixed)...)
}
