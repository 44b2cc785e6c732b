package checkpoint

import "fmt"

// TensorSpec names one parameter of a model as Hugging Face checkpoints do, and gives
// its shape. Matrices are [out, in].
type TensorSpec struct {
	Name  string
	Shape []int
}

// Size returns the number of elements.
func (s TensorSpec) Size() int {
	size := 1
	for _, n := range s.Shape {
		size *= n
	}
	return size
}

// Names of the parameters outside of layers.
const (
	EmbeddingName = "model.embed_tokens.weight"
	NormName      = "model.norm.weight" // of the last norm
	headName      = "lm_head.weight"
	classesName   = "score.weight"
)

// Role is what an array of a layer is for.
type Role string

// The arrays of a layer. D is the hidden size, H and K are the query and the key-value
// heads, E is the head size and F the MLP's.
const (
	InputNorm Role = "input norm"      // [D]
	QKV       Role = "qkv"             // [(H+2K)·E, D]: queries, then keys, then values
	QKVBias   Role = "qkv bias"        // [(H+2K)·E], with Config.QKVBias
	QueryNorm Role = "query norm"      // [E], with Config.QKNorm
	KeyNorm   Role = "key norm"        // [E], with Config.QKNorm
	Output    Role = "output"          // [D, H·E]
	PostNorm  Role = "post norm"       // [D]
	GateUp    Role = "gate and up"     // [2F, D]: the gate, then the up projection
	Down      Role = "down projection" // [D, F]
)

// Array is one or several tensors of a layer that make one array in memory, one after
// the other along the first axis. Tensors that are multiplied by the same input stand
// in one array, so that one product does for all.
type Array struct {
	Role    Role
	parts   []part
	columns int // of a matrix; 0 for a vector
}

// part is one tensor of an array.
type part struct {
	name string // below model.layers.N
	rows int
}

// Layer lists the arrays of a layer in the order of the forward pass. It is the one
// table of them: which tensors a checkpoint must hold, what is loaded and what programs
// take as inputs all follow from it.
func (c Config) Layer() (all []Array) {
	d, f, e, queries, keys := c.HiddenSize, c.IntermediateSize, c.HeadDim, c.Heads*c.HeadDim,
		c.KVHeads*c.HeadDim
	qkv := func(kind string) []part {
		return []part{{"self_attn.q_proj." + kind, queries}, {"self_attn.k_proj." + kind, keys},
			{"self_attn.v_proj." + kind, keys}}
	}
	one := func(name string, rows int) []part { return []part{{name, rows}} }
	all = append(all, Array{InputNorm, one("input_layernorm.weight", d), 0},
		Array{QKV, qkv("weight"), d})
	if c.QKVBias {
		all = append(all, Array{QKVBias, qkv("bias"), 0})
	}
	if c.QKNorm {
		all = append(all, Array{QueryNorm, one("self_attn.q_norm.weight", e), 0},
			Array{KeyNorm, one("self_attn.k_norm.weight", e), 0})
	}
	return append(all, Array{Output, one("self_attn.o_proj.weight", d), queries},
		Array{PostNorm, one("post_attention_layernorm.weight", d), 0},
		Array{GateUp, []part{{"mlp.gate_proj.weight", f}, {"mlp.up_proj.weight", f}}, d},
		Array{Down, one("mlp.down_proj.weight", d), f})
}

// Tensors returns the tensors that make the array in layer i, from 0 on.
func (a Array) Tensors(i int) (specs []TensorSpec) {
	for _, part := range a.parts {
		specs = append(specs, TensorSpec{fmt.Sprintf("model.layers.%d.%s", i, part.name),
			a.dims(part.rows)})
	}
	return specs
}

// Shape returns the shape of the array.
func (a Array) Shape() []int {
	rows := 0
	for _, part := range a.parts {
		rows += part.rows
	}
	return a.dims(rows)
}

func (a Array) dims(rows int) []int {
	if a.columns == 0 {
		return []int{rows}
	}
	return []int{rows, a.columns}
}

// Tensors lists the parameters of the model, each once, in the order of the forward
// pass.
func (c Config) Tensors() []TensorSpec {
	specs := []TensorSpec{{EmbeddingName, []int{c.VocabSize, c.HiddenSize}}}
	for i := range c.Layers {
		for _, array := range c.Layer() {
			specs = append(specs, array.Tensors(i)...)
		}
	}
	specs = append(specs, TensorSpec{NormName, []int{c.HiddenSize}})
	if head := c.Head(); head.Name != EmbeddingName {
		specs = append(specs, head)
	}
	return specs
}

// Head returns the parameter that the last hidden states are multiplied by: the head of
// a classifier's classes, that of the vocabulary, or the embedding if the two are tied.
func (c Config) Head() TensorSpec {
	switch {
	case c.Classes != nil:
		return TensorSpec{classesName, []int{len(c.Classes), c.HiddenSize}}
	case c.TieEmbeddings:
		return TensorSpec{EmbeddingName, []int{c.VocabSize, c.HiddenSize}}
	}
	return TensorSpec{headName, []int{c.VocabSize, c.HiddenSize}}
}

// Parameters returns the number of weights, e.g. 596,049,920 for Qwen3-0.6B.
func (c Config) Parameters() (n int64) {
	for _, spec := range c.Tensors() {
		n += int64(spec.Size())
	}
	return n
}
