package model

// Config is the shape of a dense decoder and the few constants that its forward pass
// depends on. Comments give the names in config.json. See LoadConfig for what is
// checked.
type Config struct {
	HiddenSize       int // hidden_size
	Layers           int // num_hidden_layers
	Heads            int // num_attention_heads: query heads
	KVHeads          int // num_key_value_heads; divides Heads
	HeadDim          int // head_dim; even. Heads·HeadDim need not be HiddenSize
	IntermediateSize int // intermediate_size: width of the MLP
	// vocab_size: rows of the embedding, which may be more than the tokenizer knows
	VocabSize int
	RopeTheta float64 // rope_theta
	// rope_scaling or rope_parameters; zero: positions turn heads unscaled
	RopeScaling RopeScaling
	RMSEps      float64 // rms_norm_eps
	QKNorm      bool    // RMSNorm over every query and key head, as Qwen3 has
	QKVBias     bool    // biases of queries, keys and values, as Qwen2 has
	// tie_word_embeddings: the vocabulary head is the embedding itself; false for a
	// classifier
	TieEmbeddings bool
	// max_position_embeddings: the longest prompt the model was trained for
	MaxPositions int
	TorchDtype   string // torch_dtype or dtype, e.g. "bfloat16"; "" if config.json names none
	// id2label of a classifier, whose head gives a logit of each; nil: a language model
	Classes    []string
	Activation Activation // what makes scores of a classifier's logits; "" for a language model
}

// Activation is a function of a row's logits.
type Activation string

// The activations of classifiers.
const (
	SoftmaxOf Activation = "softmax" // classes share 1
	SigmoidOf Activation = "sigmoid" // each class has a probability of its own
	Logits    Activation = "none"    // scores are the logits: of regression
)

// Qwen3_0_6B is the config of Qwen/Qwen3-0.6B, for weights that are generated rather
// than read.
func Qwen3_0_6B() Config {
	return Config{
		HiddenSize: 1024, Layers: 28, Heads: 16, KVHeads: 8, HeadDim: 128, IntermediateSize: 3072,
		VocabSize: 151936,
		RopeTheta: 1e6, RMSEps: 1e-6, QKNorm: true, TieEmbeddings: true, MaxPositions: 40960,
		TorchDtype: "bfloat16",
	}
}

// TensorSpec names one parameter of a model as Hugging Face checkpoints do. Matrices
// are [out, in].
type TensorSpec struct {
	Name  string
	Shape []int
}

// Size is the number of elements.
func (s TensorSpec) Size() int {
	size := 1
	for _, n := range s.Shape {
		size *= n
	}
	return size
}

const (
	embeddingName = "model.embed_tokens.weight"
	headName      = "lm_head.weight"
	classesName   = "score.weight"
	normName      = "model.norm.weight"
)

// Tensors lists the parameters of the model, each once, in the order of the forward
// pass.
func (c Config) Tensors() []TensorSpec {
	specs := []TensorSpec{{embeddingName, []int{c.VocabSize, c.HiddenSize}}}
	for i := range c.Layers {
		for _, p := range c.layer() {
			specs = append(specs, p.tensors(i)...)
		}
	}
	specs = append(specs, TensorSpec{normName, []int{c.HiddenSize}})
	if head := c.head(); head.Name != embeddingName {
		specs = append(specs, head)
	}
	return specs
}

// head is the parameter that hidden states are multiplied by at last: of classes, of
// the vocabulary, or the embedding itself.
func (c Config) head() TensorSpec {
	switch {
	case c.Classes != nil:
		return TensorSpec{classesName, []int{len(c.Classes), c.HiddenSize}}
	case c.TieEmbeddings:
		return TensorSpec{embeddingName, []int{c.VocabSize, c.HiddenSize}}
	}
	return TensorSpec{headName, []int{c.VocabSize, c.HiddenSize}}
}

// Parameters is the number of weights, e.g. 596,049,920 for Qwen3-0.6B.
func (c Config) Parameters() (n int64) {
	for _, spec := range c.Tensors() {
		n += int64(spec.Size())
	}
	return n
}
