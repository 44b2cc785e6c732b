package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// llama3 is what Llama 3.2 has.
func llama3() RopeScaling {
	return RopeScaling{Factor: 32, LowFactor: 1, HighFactor: 4, OriginalPositions: 8192}
}

// The folders were written by transformers 5.24: tests/golden/configs.py.
func TestLoadConfigTransformers5(t *testing.T) {
	small := Config{HiddenSize: 256, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 64, IntermediateSize: 512, VocabSize: 1000, RMSEps: 1e-6}
	qwen3, qwen2, llama, scaled := small, small, small, small
	qwen3.HeadDim, qwen3.RopeTheta, qwen3.QKNorm, qwen3.MaxPositions = 128, 1e6, true, 32768
	qwen2.RopeTheta, qwen2.QKVBias, qwen2.MaxPositions = 1e6, true, 32768
	llama.RopeTheta, llama.TieEmbeddings, llama.MaxPositions, llama.TorchDtype = 1e4, true, 2048, "bfloat16"
	scaled.RopeTheta, scaled.RopeScaling, scaled.MaxPositions = 5e5, llama3(), 131072
	for name, want := range map[string]Config{"qwen3": qwen3, "qwen2": qwen2, "llama": llama, "llama3": scaled} {
		cfg, err := LoadConfig(filepath.Join("testdata", "config", "transformers5-"+name))
		if err != nil {
			t.Error(err)
		} else if !reflect.DeepEqual(cfg, want) {
			t.Errorf("%s: config is\n%+v, want\n%+v", name, cfg, want)
		}
	}
}

// Each case replaces text of a config of Llama 3.2's kind.
func TestLoadConfigLlama(t *testing.T) {
	written, err := os.ReadFile(filepath.Join("testdata", "config", "transformers5-llama3", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	const block = `"rope_parameters": {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "rope_type": "llama3"
  }`
	const old = `"rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}`
	for _, test := range []struct {
		name     string
		old, new string
		theta    float64
		scaling  RopeScaling
		want     string // part of the error; "" means that there is none
	}{
		{"transformers 4", block, `"rope_theta": 500000.0, ` + old, 5e5, llama3(), ""},
		{"first Llama 3.1", block, `"rope_theta": 500000.0, ` + strings.Replace(old, "rope_type", "type", 1), 5e5, llama3(), ""},
		{"both agree", block, block + ", " + old, 5e5, llama3(), ""},
		{"both disagree", block, block + `, "rope_scaling": {"rope_type": "default"}`, 0, RopeScaling{}, "rope_scaling and rope_parameters disagree"},
		{"Llama 2 without a base", block, `"rope_scaling": null`, 1e4, RopeScaling{}, ""},
		{"Llama 3", block, `"rope_theta": 500000.0, "rope_scaling": null`, 5e5, RopeScaling{}, ""},
		{"dynamic", `"llama3"`, `"dynamic"`, 0, RopeScaling{}, `rope_parameters is of type "dynamic"`},
		{"linear", block, `"rope_scaling": {"type": "linear", "factor": 2.0}`, 0, RopeScaling{}, `rope_scaling is of type "linear"`},
		{"no factor", `"factor": 32.0,`, ``, 0, RopeScaling{}, "rope_parameters.factor is missing"},
		{"negative factor", `"factor": 32.0`, `"factor": -1`, 0, RopeScaling{}, "rope_parameters.factor is -1"},
		{"no low factor", `"low_freq_factor": 1.0,`, ``, 0, RopeScaling{}, "rope_parameters.low_freq_factor is missing"},
		{"factors in the wrong order", `"high_freq_factor": 4.0`, `"high_freq_factor": 1.0`, 0, RopeScaling{}, "rope_parameters.high_freq_factor is 1"},
		{"no original length", `"original_max_position_embeddings": 8192,`, ``, 0, RopeScaling{}, "original_max_position_embeddings is missing"},
		{"attention bias", `"attention_bias": false`, `"attention_bias": true`, 0, RopeScaling{}, "attention_bias"},
		{"MLP bias", `"mlp_bias": false`, `"mlp_bias": true`, 0, RopeScaling{}, "mlp_bias"},
		{"another architecture", `LlamaForCausalLM`, `MistralForCausalLM`, 0, RopeScaling{}, "only LlamaForCausalLM"},
		{"Mistral", `"llama"`, `"mistral"`, 0, RopeScaling{}, `model_type is "mistral"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			edited := strings.Replace(string(written), test.old, test.new, 1)
			if edited == string(written) {
				t.Fatalf("%q is not in the config", test.old)
			}
			cfg, err := parseConfig([]byte(edited))
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && (cfg.RopeTheta != test.theta || cfg.RopeScaling != test.scaling):
				t.Errorf("base %v and scaling %+v, want %v and %+v", cfg.RopeTheta, cfg.RopeScaling, test.theta, test.scaling)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
