package checkpoint

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
	// Other ranks and alphas of some modules, by regular expressions for the ends of
	// their names.
	RankPattern   map[string]int     `json:"rank_pattern"`
	AlphaPattern  map[string]float64 `json:"alpha_pattern"`
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

// ignored lists the fields that do not change merged weights: where the adapter comes
// from, how it was trained, and options of kinds of adapters that other fields turn on.
func ignored() []string {
	return []string{"auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying",
		"eva_config", "inference_mode", "lora_dropout", "lora_ga_config", "megatron_core", "peft_version",
		"qalora_group_size", "revision", "task_type"}
}

// parseAdapterConfig reads the text of an adapter_config.json. PEFT adds fields with
// most versions. A field that is not known is refused unless it is off, since it may
// change what merged weights are.
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
	for _, known := range slices.Concat(ignored(),
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

// compact returns JSON without spaces, or "set" if it is too long for an error's text.
func compact(value json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil || out.Len() > 80 {
		return "set"
	}
	return out.String()
}

// shownField formats a field's value for an error's text.
func shownField(fields map[string]json.RawMessage, name string) string {
	value, ok := fields[name]
	if !ok {
		return "missing"
	}
	return compact(value)
}

// check refuses whatever is not plain LoRA over an unchanged base model. fields are the
// file's fields, which c was read from.
func (c adapterConfig) check(fields map[string]json.RawMessage) error {
	if c.Type == nil || *c.Type != "LORA" {
		return fmt.Errorf("field peft_type is %s; only \"LORA\" adapters are supported",
			shownField(fields, "peft_type"))
	}
	if c.Bias != nil && *c.Bias != "none" {
		return fmt.Errorf("field bias is %q; only \"none\" is supported", *c.Bias)
	}
	// Other initializations, such as pissa, change the base model's weights, and the
	// adapter does not fit the unchanged model.
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
			shownField(fields, "lora_alpha"))
	}
	if err := c.checkPatterns(fields); err != nil {
		return err
	}
	if c.Rank < 1 {
		return fmt.Errorf("field r is %s; it must be at least 1", shownField(fields, "r"))
	}
	return nil
}

// checkPatterns refuses ranks and alphas of single modules that cannot be.
func (c adapterConfig) checkPatterns(fields map[string]json.RawMessage) error {
	// The texts are only for errors, and c was read from them: they are valid.
	ranks, alphas := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(fields["rank_pattern"], &ranks)
	_ = json.Unmarshal(fields["alpha_pattern"], &alphas)
	for _, name := range slices.Sorted(maps.Keys(c.RankPattern)) {
		if c.RankPattern[name] < 1 {
			return fmt.Errorf("field rank_pattern[%q] is %s; it must be at least 1", name,
				shownField(ranks, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		if !(c.AlphaPattern[name] > 0) {
			return fmt.Errorf("field alpha_pattern[%q] is %s; it must be a number above 0", name,
				shownField(alphas, name))
		}
	}
	return nil
}

// rank returns the rank of a module's adapter, and the scale of the product of its
// matrices: alpha/rank, or alpha/sqrt(rank) with use_rslora.
func (c adapterConfig) rank(module string) (rank int, scale float64, err error) {
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

// patternOf returns the value of the pattern that matches the end of the module's name,
// or otherwise if none does. PEFT takes the first of several patterns. A JSON object
// has no first, so here they must agree.
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

// modules is a field that names modules: by a list of the ends of their names, or by one
// regular expression for whole names.
type modules struct {
	names   []string
	pattern *regexp.Regexp
	text    string // the pattern as it was written, or allLinear
}

// allLinear is PEFT's word for every linear layer but the head.
const allLinear = "all-linear"

// UnmarshalJSON implements json.Unmarshaler.
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

// has reports whether the field names a module.
func (m modules) has(module string) bool {
	if m.pattern != nil {
		return m.pattern.MatchString(module)
	}
	return slices.ContainsFunc(m.names, func(name string) bool { return isNamed(module, name) })
}

// isNamed reports whether name is a module's whole name or its last parts.
func isNamed(module, name string) bool {
	return module == name || strings.HasSuffix(module, "."+name)
}

// layerNumbers is a list of layers; in JSON it may also be a single number.
type layerNumbers []int

// UnmarshalJSON implements json.Unmarshaler.
func (l *layerNumbers) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*l = layerNumbers{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(l))
}

// targets reports whether the config names a module as one that has an adapter.
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
