package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas

	"scored/model/checkpoint"
)

// layerWeights are the parameters of one transformer layer, as inputs of a program.
// Roles of checkpoint give their shapes. Those that a model does not have are nil.
type layerWeights struct {
	inputNorm *Node
	qkv       *Node
	qkvBias   *Node
	queryNorm *Node
	keyNorm   *Node
	output    *Node
	postNorm  *Node
	gateUp    *Node
	down      *Node
}

// of returns the place of the array with this role.
func (w *layerWeights) of(role checkpoint.Role) **Node {
	switch role {
	case checkpoint.InputNorm:
		return &w.inputNorm
	case checkpoint.QKV:
		return &w.qkv
	case checkpoint.QKVBias:
		return &w.qkvBias
	case checkpoint.QueryNorm:
		return &w.queryNorm
	case checkpoint.KeyNorm:
		return &w.keyNorm
	case checkpoint.Output:
		return &w.output
	case checkpoint.PostNorm:
		return &w.postNorm
	case checkpoint.GateUp:
		return &w.gateUp
	case checkpoint.Down:
		return &w.down
	}
	panic(fmt.Errorf("layer has no weights for the role %q", role))
}

// layerParameters declares a layer's weights as inputs, in the order of Config.Layer,
// which is also the order in which they are loaded.
func (d decoder) layerParameters(in *parameters) (w layerWeights) {
	for _, array := range d.Layer() {
		shape := array.Shape()
		*w.of(array.Role) = in.next(d.dtypeOf(shape), shape...)
	}
	return w
}
