package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The folders of testdata/config hold the config.json files of the published models.
func TestLoadConfigPublished(t *testing.T) {
	large := func(hidden, layers, heads, mlp int, tied bool) Config {
		return Config{HiddenSize: hidden, Layers: layers, Heads: heads, KVHeads: 8, HeadDim: 128, IntermediateSize: mlp, QKNorm: true,
			VocabSize: 151936, RopeTheta: 1e6, RMSEps: 1e-6, TieEmbeddings: tied, MaxPositions: 40960, TorchDtype: "bfloat16"}
	}
	for _, test := range []struct {
		name       string
		want       Config
		parameters int64 // as on the models' cards, tied embeddings counted once
		tensors    int
	}{
		{"Qwen3-0.6B", Qwen3_0_6B(), 596_049_920, 310},
		{"Qwen3-1.7B", large(2048, 28, 16, 6144, true), 1_720_574_976, 310},
		{"Qwen3-4B", large(2560, 36, 32, 9728, true), 4_022_468_096, 398},
		{"Qwen3-8B", large(4096, 36, 32, 12288, false), 8_190_735_360, 399},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := LoadConfig(filepath.Join("testdata", "config", test.name))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(cfg, test.want) {
				t.Errorf("config is\n%+v, want\n%+v", cfg, test.want)
			}
			if n := cfg.Parameters(); n != test.parameters {
				t.Errorf("model has %d parameters, want %d", n, test.parameters)
			}
			seen := map[string]bool{}
			for _, spec := range cfg.Tensors() {
				seen[spec.Name] = true
			}
			if len(seen) != test.tensors || len(cfg.Tensors()) != test.tensors {
				t.Errorf("model has %d tensors, %d of them distinct, want %d", len(cfg.Tensors()), len(seen), test.tensors)
			}
		})
	}
}

// Each case replaces text of the published 0.6B config, or adds a field at its front.
func TestLoadConfigEdited(t *testing.T) {
	published, err := os.ReadFile(filepath.Join("testdata", "config", "Qwen3-0.6B", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		old, new string
		want     string // part of the error; "" means the config stays that of Qwen3-0.6B
	}{
		{"transformers 5 rope", `"rope_theta": 1000000,`, `"rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},`, ""},
		{"both ropes agree", `{`, `{"rope_parameters": {"rope_theta": 1e6},`, ""},
		{"both ropes disagree", `{`, `{"rope_parameters": {"rope_theta": 1e4},`, "disagree"},
		{"default scaling", `"rope_scaling": null`, `"rope_scaling": {"type": "default"}`, ""},
		{"transformers 5 dtype", `"torch_dtype"`, `"dtype"`, ""},
		{"layer types", `{`, `{"layer_types": ["full_attention"` + strings.Repeat(`, "full_attention"`, 27) + `],`, ""},
		{"no architectures", `"architectures"`, `"authors"`, ""},
		{"null quantization", `{`, `{"quantization_config": null,`, ""},
		{"fields of no effect", `"use_cache": true`, `"use_cache": false, "attention_dropout": 0.5, "future_field": [{}]`, ""},

		{"yarn", `"rope_scaling": null`, `"rope_scaling": {"rope_type": "yarn", "factor": 4.0}`, `rope_scaling is of type "yarn"`},
		{"old yarn", `"rope_scaling": null`, `"rope_scaling": {"type": "yarn", "factor": 4.0}`, `rope_scaling is of type "yarn"`},
		{"transformers 5 yarn", `{`, `{"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn"},`, `rope_parameters is of type "yarn"`},
		{"partial rotary", `{`, `{"rope_parameters": {"partial_rotary_factor": 0.5},`, "partial_rotary_factor"},
		{"no rope", `"rope_theta": 1000000,`, ``, "rope_theta is missing"},
		{"mixture of experts", `"qwen3"`, `"qwen3_moe"`, `model_type is "qwen3_moe"`},
		{"no model type", `"model_type"`, `"kind"`, "model_type is missing"},
		{"another head", `Qwen3ForCausalLM`, `Qwen3ForTokenClassification`, "architectures"},
		{"class missing", "\"Qwen3ForCausalLM\"\n  ],", `"Qwen3ForSequenceClassification"], "id2label": {"0": "a", "2": "b"},`, "id2label"},
		{"classes disagree", "\"Qwen3ForCausalLM\"\n  ],", `"Qwen3ForSequenceClassification"], "id2label": {"0": "a"}, "num_labels": 2,`, "num_labels is 2"},
		{"no classes", "\"Qwen3ForCausalLM\"\n  ],", `"Qwen3ForSequenceClassification"], "num_labels": 0,`, "num_labels is 0"},
		{"another problem", "\"Qwen3ForCausalLM\"\n  ],", `"Qwen3ForSequenceClassification"], "problem_type": "ranking",`, "problem_type"},
		{"another activation", "\"Qwen3ForCausalLM\"\n  ],", `"Qwen3ForSequenceClassification"], "sentence_transformers": {"activation_fn": "torch.nn.Tanh"},`, "activation_fn"},
		{"gelu", `"silu"`, `"gelu"`, `hidden_act is "gelu"`},
		{"bias", `"attention_bias": false`, `"attention_bias": true`, "attention_bias"},
		{"sliding window", `"use_sliding_window": false`, `"use_sliding_window": true`, "use_sliding_window"},
		{"sliding layer", `{`, `{"layer_types": ["sliding_attention"],`, "layer_types[0]"},
		{"too few layer types", `{`, `{"layer_types": ["full_attention"],`, "layer_types lists 1"},
		{"quantized", `{`, `{"quantization_config": {"quant_method": "fp8"},`, "quantization_config"},
		{"heads not shared evenly", `"num_key_value_heads": 8`, `"num_key_value_heads": 5`, "multiple of num_key_value_heads (5)"},
		{"odd head", `"head_dim": 128`, `"head_dim": 127`, "head_dim is 127"},
		{"no heads", `"num_attention_heads": 16,`, ``, "num_attention_heads is missing"},
		{"no layers", `"num_hidden_layers": 28`, `"num_hidden_layers": 0`, "num_hidden_layers is 0"},
		{"negative size", `"hidden_size": 1024`, `"hidden_size": -1024`, "hidden_size is -1024"},
		{"absurd size", `"vocab_size": 151936`, `"vocab_size": 1519360000`, "vocab_size is 1519360000"},
		{"beyond int", `"vocab_size": 151936`, `"vocab_size": 151936000000000000000000`, "vocab_size has a JSON number 151936000000000000000000 where a whole number below 2^63 must be"},
		{"size as text", `"hidden_size": 1024`, `"hidden_size": "1024"`, "hidden_size has a JSON string where a whole number below 2^63 must be"},
		{"no epsilon", `"rms_norm_eps": 1e-06,`, ``, "rms_norm_eps is missing"},
		{"negative epsilon", `1e-06`, `-1e-06`, "rms_norm_eps is -1e-06"},
		{"cut short", "}\n", "", "not a JSON object"},
		{"a list", "{", "[{", "not a JSON object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			edited := strings.Replace(string(published), test.old, test.new, 1)
			if edited == string(published) {
				t.Fatalf("%q is not in the published config", test.old)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(edited), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := LoadConfig(dir)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && !reflect.DeepEqual(cfg, Qwen3_0_6B()):
				t.Errorf("config is %+v", cfg)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want one with %q", err, test.want)
			case test.want != "" && !strings.Contains(err.Error(), filepath.Join(dir, "config.json")):
				t.Errorf("error %q does not name the file", err)
			}
		})
	}
}

// A config without num_key_value_heads, head_dim and tie_word_embeddings means one
// key-value head for each query head, heads that split the hidden size, and a
// vocabulary head of its own.
func TestLoadConfigDefaults(t *testing.T) {
	cfg, err := parseConfig([]byte(`{"model_type": "qwen3", "hidden_act": "silu", "hidden_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 512, "max_position_embeddings": 2048,
		"rms_norm_eps": 1e-5, "rope_theta": 1e4}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{HiddenSize: 64, Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, IntermediateSize: 128, VocabSize: 512,
		RopeTheta: 1e4, RMSEps: 1e-5, QKNorm: true, MaxPositions: 2048}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("config is %+v, want %+v", cfg, want)
	}
}

func TestLoadConfigWithoutFile(t *testing.T) {
	if _, err := LoadConfig(t.TempDir()); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("error is %v, want one that names config.json", err)
	}
}
