package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas
)

// layerWeights are the parameters of one transformer layer, as a program takes them.
type layerWeights struct {
	inputNorm *Node // [D]
	qkv       *Node // [(H+2K)·E, D]
	qkvBias   *Node // [(H+2K)·E], with Config.QKVBias
	queryNorm *Node // [E], with Config.QKNorm
	keyNorm   *Node // [E], with Config.QKNorm
	output    *Node // [D, H·E]
	postNorm  *Node // [D]
	gateUp    *Node // [2F, D]
	down      *Node // [D, F]
}

// parameter is one array of a layer on the device: tensors of the checkpoint, one after
// the other along the first axis. Those that read the same input stand in one array.
type parameter struct {
	parts   []part
	columns int // of a matrix; 0: a vector
	node    func(w *layerWeights) **Node
}

// part is one tensor of a checkpoint.
type part struct {
	name string // below model.layers.N
	rows int
}

// layer lists the arrays of a layer in the order of the forward pass. It is the one
// table of them: what a checkpoint must hold, what is loaded, and what the programs
// take all follow from it.
func (c Config) layer() (all []parameter) {
	d, f, e, queries, keys := c.HiddenSize, c.IntermediateSize, c.HeadDim, c.Heads*c.HeadDim,
		c.KVHeads*c.HeadDim
	qkv := func(kind string) []part {
		return []part{{"self_attn.q_proj." + kind, queries}, {"self_attn.k_proj." + kind, keys},
			{"self_attn.v_proj." + kind, keys}}
	}
	one := func(name string, rows int) []part { return []part{{name, rows}} }
	all = append(all,
		parameter{one("input_layernorm.weight", d), 0,
			func(w *layerWeights) **Node { return &w.inputNorm }},
		parameter{qkv("weight"), d, func(w *layerWeights) **Node { return &w.qkv }})
	if c.QKVBias {
		all = append(all, parameter{qkv("bias"), 0, func(w *layerWeights) **Node { return &w.qkvBias }})
	}
	if c.QKNorm {
		all = append(all,
			parameter{one("self_attn.q_norm.weight", e), 0,
				func(w *layerWeights) **Node { return &w.queryNorm }},
			parameter{one("self_attn.k_norm.weight", e), 0,
				func(w *layerWeights) **Node { return &w.keyNorm }})
	}
	gateUp := []part{{"mlp.gate_proj.weight", f}, {"mlp.up_proj.weight", f}}
	return append(all,
		parameter{one("self_attn.o_proj.weight", d), queries,
			func(w *layerWeights) **Node { return &w.output }},
		parameter{one("post_attention_layernorm.weight", d), 0,
			func(w *layerWeights) **Node { return &w.postNorm }},
		parameter{gateUp, d, func(w *layerWeights) **Node { return &w.gateUp }},
		parameter{one("mlp.down_proj.weight", d), f, func(w *layerWeights) **Node { return &w.down }})
}

// tensors are the checkpoint's tensors that make the parameter in layer i.
func (p parameter) tensors(i int) (specs []TensorSpec) {
	for _, part := range p.parts {
		specs = append(specs, TensorSpec{fmt.Sprintf("model.layers.%d.%s", i, part.name),
			p.dims(part.rows)})
	}
	return specs
}

// shape is that of the array on the device.
func (p parameter) shape() []int {
	rows := 0
	for _, part := range p.parts {
		rows += part.rows
	}
	return p.dims(rows)
}

func (p parameter) dims(rows int) []int {
	if p.columns == 0 {
		return []int{rows}
	}
	return []int{rows, p.columns}
}

// layerParameters takes a layer's arrays, in the order of Config.layer.
func (d decoder) layerParameters(in *parameters) (w layerWeights) {
	for _, p := range d.layer() {
		shape := p.shape()
		*p.node(&w) = in.next(d.dtypeOf(shape), shape...)
	}
	return w
}
