package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// adapterConfig is adapter_config.json as PEFT writes it.
type adapterConfig struct {
	Rank  int     `json:"r"`
	Alpha float64 `json:"lora_alpha"`
	// regular expressions of modules that have another rank
	RankPattern   map[string]int     `json:"rank_pattern"`
	AlphaPattern  map[string]float64 `json:"alpha_pattern"` // and another alpha
	RootScale     bool               `json:"use_rslora"`
	Targets       modules            `json:"target_modules"`
	Excluded      modules            `json:"exclude_modules"`
	Layers        layerNumbers       `json:"layers_to_transform"`
	Saved         []string           `json:"modules_to_save"`
	Type          *string            `json:"peft_type"`
	Bias          *string            `json:"bias"`
	Initial       json.RawMessage    `json:"init_lora_weights"`
	LayersPattern json.RawMessage    `json:"layers_pattern"`
}

// harmless are the fields that say nothing of what merged weights are: where the
// adapter comes from, how it was trained, and options of kinds of adapters that other
// fields turn on.
func harmless() []string {
	return []string{"auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying",
		"eva_config", "inference_mode", "lora_dropout", "lora_ga_config", "megatron_core", "peft_version",
		"qalora_group_size", "revision", "task_type"}
}

func parseAdapterConfig(data []byte) (c adapterConfig, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return c, fmt.Errorf("not a JSON object: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		if wrong := wrongType(err); wrong != nil {
			return c, wrong
		}
		return c, err
	}
	if err := c.check(fields); err != nil {
		return c, err
	}
	for _, known := range slices.Concat(harmless(),
		[]string{"r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "target_modules",
			"exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "peft_type",
			"bias", "init_lora_weights"}) {
		delete(fields, known)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains([]string{"null", "false", `""`, "[]", "{}"}, compact(fields[name])) {
			return c, fmt.Errorf("field %s is %s, which is not supported; merge the adapter into the "+
				"model with PEFT's merge_and_unload", name, compact(fields[name]))
		}
	}
	return c, nil
}

// compact is JSON without spaces, cut to what an error can show.
func compact(value json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil || out.Len() > 80 {
		return "set"
	}
	return out.String()
}

// given is a field's value as errors show it.
func given(fields map[string]json.RawMessage, name string) string {
	value, ok := fields[name]
	if !ok {
		return "missing"
	}
	return compact(value)
}

// check refuses what is not plain LoRA over an unchanged base model. fields are the
// file's.
func (c adapterConfig) check(fields map[string]json.RawMessage) error {
	if c.Type == nil || *c.Type != "LORA" {
		return fmt.Errorf("field peft_type is %s; only \"LORA\" adapters are supported",
			given(fields, "peft_type"))
	}
	if c.Bias != nil && *c.Bias != "none" {
		return fmt.Errorf("field bias is %q; only \"none\" is supported", *c.Bias)
	}
	// Other ways to begin, such as pissa, change the base model's weights, so that the
	// adapter does not fit the model as it was.
	if initial := compact(c.Initial); !slices.Contains([]string{"true", "false", `"gaussian"`, `"eva"`,
		`"orthogonal"`, "null"}, initial) && c.Initial != nil {
		return fmt.Errorf("field init_lora_weights is %s, which changes the base model too; save the "+
			"adapter as one of the unchanged model, as PEFT's path_initial_model_for_weight_conversion does",
			initial)
	}
	if pattern := compact(c.LayersPattern); c.LayersPattern != nil &&
		!slices.Contains([]string{"null", "[]", `""`, `"layers"`, `["layers"]`}, pattern) {
		return fmt.Errorf("field layers_pattern is %s; the models' layers are \"layers\"", pattern)
	}
	if !(c.Alpha > 0) || math.IsInf(c.Alpha, 0) {
		return fmt.Errorf("field lora_alpha is %s; it must be a number above 0",
			given(fields, "lora_alpha"))
	}
	ranks, alphas := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	// of which c was read
	_, _ = json.Unmarshal(fields["rank_pattern"], &ranks), json.Unmarshal(fields["alpha_pattern"],
		&alphas)
	for _, name := range slices.Sorted(maps.Keys(c.RankPattern)) {
		if c.RankPattern[name] < 1 {
			return fmt.Errorf("field rank_pattern[%q] is %s; it must be at least 1", name,
				given(ranks, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		if !(c.AlphaPattern[name] > 0) {
			return fmt.Errorf("field alpha_pattern[%q] is %s; it must be a number above 0", name,
				given(alphas, name))
		}
	}
	if c.Rank < 1 {
		return fmt.Errorf("field r is %s; it must be at least 1", given(fields, "r"))
	}
	return nil
}

// of gives the rank of a module's adapter, and what the product of its matrices is
// multiplied by.
func (c adapterConfig) of(module string) (rank int, scale float64, err error) {
	if rank, err = patternOf("rank_pattern", c.RankPattern, module, c.Rank); err != nil {
		return 0, 0, err
	}
	alpha, err := patternOf("alpha_pattern", c.AlphaPattern, module, c.Alpha)
	if err != nil {
		return 0, 0, err
	}
	if c.RootScale { // arXiv:2312.03732
		return rank, alpha / math.Sqrt(float64(rank)), nil
	}
	return rank, alpha / float64(rank), nil
}

// patternOf is what the one pattern that the end of the module's name matches says, or
// otherwise. PEFT takes the first of several; JSON objects have no first, so those must
// agree.
func patternOf[V comparable](field string, patterns map[string]V, module string,
	otherwise V) (V, error) {
	found, value := "", otherwise
	for _, key := range slices.Sorted(maps.Keys(patterns)) {
		matches, err := regexp.MatchString(`^(.*\.)?(`+key+`)$`, module)
		if err != nil {
			return value, fmt.Errorf("field %s has the key %q, which is not a regular expression that is "+
				"supported: %w", field, key, err)
		}
		if !matches {
			continue
		}
		if found != "" && patterns[key] != value {
			return value, fmt.Errorf("field %s says two things of %s, by the keys %q and %q; name each "+
				"module once", field, module, found, key)
		}
		found, value = key, patterns[key]
	}
	return value, nil
}

// modules is a field that names modules: by the ends of their names, or by a regular
// expression for the whole of them.
type modules struct {
	names   []string
	pattern *regexp.Regexp
	text    string // of the pattern, or allLinear
}

// allLinear is PEFT's word for every linear layer but the head.
const allLinear = "all-linear"

func (m *modules) UnmarshalJSON(data []byte) (err error) {
	if len(data) == 0 || data[0] != '"' {
		return json.Unmarshal(data, &m.names)
	}
	if err := json.Unmarshal(data, &m.text); err != nil {
		return err
	}
	pattern := m.text
	if strings.EqualFold(pattern, allLinear) {
		pattern = `.*_proj`
	}
	if m.pattern, err = regexp.Compile(`^(?:` + pattern + `)$`); err != nil {
		return fmt.Errorf("modules %q are not a regular expression that is supported: %w; save the "+
			"adapter with a list of names", m.text, err)
	}
	return nil
}

func (m modules) has(module string) bool {
	if m.pattern != nil {
		return m.pattern.MatchString(module)
	}
	return slices.ContainsFunc(m.names, func(name string) bool { return endsIn(module, name) })
}

func endsIn(module, name string) bool {
	return module == name || strings.HasSuffix(module, "."+name)
}

// layerNumbers is a list of layers, or one.
type layerNumbers []int

func (l *layerNumbers) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*l = layerNumbers{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(l))
}

// targets tells whether the config names a module.
func (c adapterConfig) targets(module string) bool {
	if !c.Targets.has(module) || c.Excluded.has(module) {
		return false
	}
	rest, inLayer := strings.CutPrefix(module, "model.layers.")
	if len(c.Layers) == 0 {
		return true
	}
	number, _, _ := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	return inLayer && err == nil && slices.Contains(c.Layers, layer)
}
