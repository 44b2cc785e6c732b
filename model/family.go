package model

// family is a kind of dense decoder: what its config.json is named, and where its blocks differ from those of the others.
// Everything else is common: pre-norm blocks, grouped-query attention with rotary positions, a SwiGLU MLP. To add one of
// the kind, add a line, and its shape to tests/golden/weights.py.
type family struct {
	modelType    string  // model_type
	architecture string  // the one entry of architectures
	classifier   string  // the same, of the family's models with a head of classes instead of the vocabulary's
	qkNorm       bool    // RMSNorm over every query and key head
	qkvBias      bool    // biases of queries, keys and values
	ropeTheta    float64 // where config.json has no rope_theta; 0: it must
}

func families() []family {
	return []family{
		{modelType: "qwen3", architecture: "Qwen3ForCausalLM", classifier: "Qwen3ForSequenceClassification", qkNorm: true},  // arXiv:2505.09388, section 2
		{modelType: "qwen2", architecture: "Qwen2ForCausalLM", classifier: "Qwen2ForSequenceClassification", qkvBias: true}, // arXiv:2407.10671, section 2.2; Qwen2.5 too
		// arXiv:2307.09288 and arXiv:2407.21783, section 3.2; SmolLM2 too. Llama 2's own config.json has no rope_theta.
		{modelType: "llama", architecture: "LlamaForCausalLM", classifier: "LlamaForSequenceClassification", ropeTheta: 10000},
	}
}
