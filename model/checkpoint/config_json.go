package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
)

// LoadConfig reads config.json in dir, as transformers 4 and 5 write it. It honours
// every field that would change an answer, or refuses it by name; other fields are
// ignored.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readRegular(path, maxConfig)
	if err != nil {
		return Config{}, fmt.Errorf("model config is not readable: %w", err)
	}
	cfg, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// configFile is config.json as it is decoded. A nil pointer is a field that is absent or
// null. Fields that are read only to be refused come last.
type configFile struct {
	ModelType     *string  `json:"model_type"`
	Architectures []string `json:"architectures"`

	// The shape: all but num_key_value_heads and head_dim must be there.
	HiddenSize       *int     `json:"hidden_size"`
	Layers           *int     `json:"num_hidden_layers"`
	Heads            *int     `json:"num_attention_heads"`
	KVHeads          *int     `json:"num_key_value_heads"`
	HeadDim          *int     `json:"head_dim"`
	IntermediateSize *int     `json:"intermediate_size"`
	VocabSize        *int     `json:"vocab_size"`
	MaxPositions     *int     `json:"max_position_embeddings"`
	RMSEps           *float64 `json:"rms_norm_eps"`
	// false when absent, as in transformers' Qwen3Config
	TieEmbeddings bool   `json:"tie_word_embeddings"`
	TorchDtype    string `json:"torch_dtype"`
	Dtype         string `json:"dtype"` // torch_dtype's name in transformers 5

	// Rotary positions: see rotary.
	RopeTheta      *float64 `json:"rope_theta"`
	RopeScaling    *rope    `json:"rope_scaling"`
	RopeParameters *rope    `json:"rope_parameters"` // replaces the two above in transformers 5

	// A classifier's head: see classes. Other models may have these fields, too, with
	// transformers' defaults; they are not read then.
	Labels      map[string]string `json:"id2label"`
	LabelCount  *int              `json:"num_labels"`
	ProblemType *string           `json:"problem_type"`
	Sentence    struct {
		Activation *string `json:"activation_fn"`
	} `json:"sentence_transformers"`

	// Variants of the forward pass: see checkPlain.
	HiddenAct        *string         `json:"hidden_act"`
	AttentionBias    bool            `json:"attention_bias"`
	MLPBias          bool            `json:"mlp_bias"`
	UseSlidingWindow bool            `json:"use_sliding_window"`
	LayerTypes       []string        `json:"layer_types"`
	Quantization     json.RawMessage `json:"quantization_config"`
}

// parseConfig reads the text of a config.json. It looks at the family first, because for
// a model of another kind an error about any other field would mislead.
func parseConfig(data []byte) (Config, error) {
	var file configFile
	if err := json.Unmarshal(data, &file); err != nil {
		if wrong := wrongType(err); wrong != nil {
			return Config{}, wrong
		}
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	kind, classifies, err := file.family()
	if err != nil {
		return Config{}, err
	}
	theta, scaling, err := file.rotary(kind)
	if err != nil {
		return Config{}, err
	}
	cfg, err := file.sizes()
	if err != nil {
		return Config{}, err
	}
	if file.RMSEps == nil || !(*file.RMSEps > 0 && *file.RMSEps < 1) {
		return Config{}, fmt.Errorf("field rms_norm_eps is %s; it must be between 0 and 1",
			shown(file.RMSEps))
	}
	cfg.RopeTheta, cfg.RopeScaling, cfg.RMSEps, cfg.TieEmbeddings = theta, scaling, *file.RMSEps,
		file.TieEmbeddings
	cfg.QKNorm, cfg.QKVBias = kind.qkNorm, kind.qkvBias
	if classifies {
		cfg.TieEmbeddings = false // there is no vocabulary head
		if cfg.Classes, cfg.Activation, err = file.classes(); err != nil {
			return Config{}, err
		}
	}
	cfg.TorchDtype = file.TorchDtype
	if cfg.TorchDtype == "" {
		cfg.TorchDtype = file.Dtype
	}
	return cfg, nil
}

// family finds the model's family by model_type. classifies reports whether the model
// is a classifier of it, which architectures says; without that field it is a language
// model.
func (f *configFile) family() (found family, classifies bool, err error) {
	i := slices.IndexFunc(families(), func(k family) bool {
		return f.ModelType != nil && *f.ModelType == k.modelType
	})
	if i < 0 {
		return found, false, fmt.Errorf("field model_type is %s; only dense Qwen3, Qwen2 and Llama "+
			"models (\"qwen3\", \"qwen2\", \"llama\") are supported", shown(f.ModelType))
	}
	found = families()[i]
	classifies = slices.Equal(f.Architectures, []string{found.classifier})
	if len(f.Architectures) > 0 && !classifies && !slices.Equal(f.Architectures,
		[]string{found.architecture}) {
		return found, false, fmt.Errorf("field architectures is %q; only %s and %s are supported",
			f.Architectures, found.architecture, found.classifier)
	}
	return found, classifies, f.checkPlain()
}

// checkPlain refuses every variant of the forward pass that the families do not have:
// other activations, biases, sliding windows, quantized weights.
func (f *configFile) checkPlain() error {
	switch {
	case f.HiddenAct == nil || *f.HiddenAct != "silu":
		return fmt.Errorf("field hidden_act is %s; only \"silu\" is supported", shown(f.HiddenAct))
	case f.AttentionBias:
		return errors.New("field attention_bias is true; biases are not supported")
	case f.MLPBias:
		return errors.New("field mlp_bias is true; biases are not supported")
	case f.UseSlidingWindow:
		return errors.New("field use_sliding_window is true; only full attention is supported")
	case len(f.Quantization) > 0 && string(f.Quantization) != "null":
		return errors.New("field quantization_config is set; use an unquantized checkpoint (bfloat16, " +
			"float16 or float32)")
	}
	for i, kind := range f.LayerTypes {
		if kind != "full_attention" {
			return fmt.Errorf("field layer_types[%d] is %q; only \"full_attention\" is supported", i, kind)
		}
	}
	if f.Layers != nil && len(f.LayerTypes) > 0 && len(f.LayerTypes) != *f.Layers {
		return fmt.Errorf("field layer_types lists %d layers, num_hidden_layers is %d", len(f.LayerTypes),
			*f.Layers)
	}
	return nil
}

// sizes reads the integer fields. The bounds are far above any published model. They
// keep products of sizes within an int, and turn a corrupt file into an error instead
// of an allocation.
func (f *configFile) sizes() (Config, error) {
	var cfg Config
	// Both defaults are those of transformers' configuration classes.
	if f.KVHeads == nil {
		f.KVHeads = f.Heads // one key-value head for each query head
	}
	if f.HeadDim == nil && f.HiddenSize != nil && f.Heads != nil && *f.Heads > 0 &&
		*f.HiddenSize%*f.Heads == 0 {
		size := *f.HiddenSize / *f.Heads
		f.HeadDim = &size
	}
	for _, field := range []struct {
		name  string
		value *int
		to    *int
		most  int
	}{
		{"hidden_size", f.HiddenSize, &cfg.HiddenSize, 1 << 16},
		{"num_hidden_layers", f.Layers, &cfg.Layers, 1 << 9},
		{"num_attention_heads", f.Heads, &cfg.Heads, 1 << 10},
		{"num_key_value_heads", f.KVHeads, &cfg.KVHeads, 1 << 10},
		{"head_dim", f.HeadDim, &cfg.HeadDim, 1 << 10},
		{"intermediate_size", f.IntermediateSize, &cfg.IntermediateSize, 1 << 20},
		{"vocab_size", f.VocabSize, &cfg.VocabSize, 1 << 22},
		{"max_position_embeddings", f.MaxPositions, &cfg.MaxPositions, 1 << 24},
	} {
		if field.value == nil || *field.value < 1 || *field.value > field.most {
			return Config{}, fmt.Errorf("field %s is %s; it must be between 1 and %d", field.name,
				shown(field.value), field.most)
		}
		*field.to = *field.value
	}
	if cfg.Heads%cfg.KVHeads != 0 {
		return Config{}, fmt.Errorf("field num_attention_heads is %d; it must be a multiple of "+
			"num_key_value_heads (%d)", cfg.Heads, cfg.KVHeads)
	}
	if cfg.HeadDim%2 != 0 {
		return Config{}, fmt.Errorf("field head_dim is %d; it must be even, since rotary positions "+
			"turn pairs", cfg.HeadDim)
	}
	return cfg, nil
}

// shown formats a field's value for an error message.
func shown[T any](value *T) string {
	if value == nil {
		return "missing"
	}
	return fmt.Sprintf("%#v", *value)
}

// wrongType returns an error, in the words of JSON, for a field whose value has the
// wrong type. It returns nil if err is about anything else.
func wrongType(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		return nil
	}
	must := "an object"
	switch wrong.Type.Kind() {
	case reflect.Bool:
		must = "true or false"
	case reflect.Int:
		must = "a whole number below 2^63"
	case reflect.Float64:
		must = "a number below 1.8e308"
	case reflect.String:
		must = "a string"
	case reflect.Slice:
		must = "a list"
	}
	return fmt.Errorf("field %s has a JSON %s where %s must be", wrong.Field, wrong.Value, must)
}
