package checkpoint

// family is a kind of dense decoder: the names in its config.json, and what its layers
// have that others do not. All else is common: pre-norm layers, grouped-query attention
// with rotary positions, and a SwiGLU MLP. To add one of this kind, add a line here and
// its shape to tests/golden/weights.py.
type family struct {
	modelType    string  // model_type
	architecture string  // the one entry of architectures
	classifier   string  // that entry for models with a head of classes, not of the vocabulary
	qkNorm       bool    // RMSNorm over every query and key head
	qkvBias      bool    // biases of queries, keys and values
	ropeTheta    float64 // rope_theta if config.json has none; 0: config.json must have it
}

// families lists the supported families. Sources are the models' reports.
func families() []family {
	return []family{
		// Qwen3: arXiv:2505.09388, section 2.
		{modelType: "qwen3", architecture: "Qwen3ForCausalLM",
			classifier: "Qwen3ForSequenceClassification", qkNorm: true},
		// Qwen2 and Qwen2.5: arXiv:2407.10671, section 2.2.
		{modelType: "qwen2", architecture: "Qwen2ForCausalLM",
			classifier: "Qwen2ForSequenceClassification", qkvBias: true},
		// Llama 2 and 3, SmolLM2: arXiv:2307.09288 and arXiv:2407.21783, section 3.2.
		// Llama 2's own config.json has no rope_theta; transformers takes 10,000.
		{modelType: "llama", architecture: "LlamaForCausalLM",
			classifier: "LlamaForSequenceClassification", ropeTheta: 10000},
	}
}
