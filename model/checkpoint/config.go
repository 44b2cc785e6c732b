package checkpoint

// Config is the shape of a dense decoder and the few constants that its forward pass
// depends on. Comments give the names in config.json. LoadConfig says what is checked.
type Config struct {
	HiddenSize       int // hidden_size
	Layers           int // num_hidden_layers
	Heads            int // num_attention_heads: query heads
	KVHeads          int // num_key_value_heads; divides Heads
	HeadDim          int // head_dim; even. Heads·HeadDim need not be HiddenSize
	IntermediateSize int // intermediate_size: width of the MLP
	// vocab_size: rows of the embedding, which may be more than the tokenizer's ids
	VocabSize int
	RopeTheta float64 // rope_theta
	// rope_scaling or rope_parameters; the zero value leaves positions unscaled
	RopeScaling RopeScaling
	RMSEps      float64 // rms_norm_eps
	QKNorm      bool    // RMSNorm over every query and key head, as Qwen3 has
	QKVBias     bool    // biases of queries, keys and values, as Qwen2 has
	// tie_word_embeddings: the embedding is the vocabulary head, too; false for a
	// classifier
	TieEmbeddings bool
	// max_position_embeddings: the longest prompt that the model was trained for
	MaxPositions int
	TorchDtype   string // torch_dtype or dtype, e.g. "bfloat16"; "" if config.json names none
	// id2label of a classifier, whose head gives a logit for each class; nil for a
	// language model
	Classes    []string
	Activation Activation // turns a classifier's logits into scores; "" for a language model
}

// RopeScaling stretches rotary positions beyond the length that a model was first
// trained for, as Llama 3.1 and later do (rope_type "llama3"). Frequencies with a long
// wave, compared with that length, are divided by Factor. Those with a short wave stay.
// Those between pass smoothly from one to the other. The zero value changes nothing.
type RopeScaling struct {
	Factor     float64 // factor
	LowFactor  float64 // low_freq_factor: waves longer than OriginalPositions / LowFactor are long
	HighFactor float64 // high_freq_factor: waves shorter than OriginalPositions / HighFactor are short
	// OriginalPositions is original_max_position_embeddings, the length of the first
	// training.
	OriginalPositions int
}

// Activation is a function of a classifier's logits for one row.
type Activation string

// The activations of classifiers.
const (
	SoftmaxOf Activation = "softmax" // the classes' probabilities add up to 1
	SigmoidOf Activation = "sigmoid" // each class has a probability of its own
	Logits    Activation = "none"    // the scores are the logits, as of a regression
)

// KeysValues returns how many numbers a layer keeps of a token in the KV cache: K·2E,
// for each key-value head a key and a value.
func (c Config) KeysValues() int { return c.KVHeads * 2 * c.HeadDim }

// Qwen3_0_6B returns the config of Qwen/Qwen3-0.6B, for generated weights.
func Qwen3_0_6B() Config {
	return Config{
		HiddenSize: 1024, Layers: 28, Heads: 16, KVHeads: 8, HeadDim: 128, IntermediateSize: 3072,
		VocabSize: 151936,
		RopeTheta: 1e6, RMSEps: 1e-6, QKNorm: true, TieEmbeddings: true, MaxPositions: 40960,
		TorchDtype: "bfloat16",
	}
}
