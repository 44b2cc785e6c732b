package tritontest

import "scored/model/triton"

// Operands are what a block's kernels get: see triton.Keys and triton.Attend.
type Operands struct {
	QKV, KeyWeight, QueryWeight, Angles *Array
	Spans, Sight                        *Array
	Prefix                              *Array // nil without one
}

// Attend runs both kernels, one after the other: the mixed values [T, H·E].
func Attend(s triton.Shape, in Operands) (*Array, error) {
	keys, mixed := New("bf16", s.Tokens, s.KVHeads*2*s.HeadDim), New("bf16", s.Tokens, s.Heads*s.HeadDim)
	ready := triton.Keys(s)
	if err := Run(ready.Body, ready.Grid, in.QKV, in.QKV, in.KeyWeight, in.Angles, keys); err != nil {
		return nil, err
	}
	arrays := []*Array{in.Spans, in.QKV, keys}
	if s.Prefix > 0 {
		arrays = append(arrays, in.Prefix)
	}
	attend := triton.Attend(s)
	return mixed, Run(attend.Body, attend.Grid, append(arrays, in.Sight, in.QueryWeight, in.Angles, mixed)...)
}
