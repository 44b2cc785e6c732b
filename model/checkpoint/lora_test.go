package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes/bfloat16"
)

// adapterFiles is an adapter to be written: its config and its tensors.
type adapterFiles struct {
	config  map[string]any
	tensors *writer
}

// goodAdapter is one on queries of every layer, of rank 5 and scale 3/5, and on the
// last layer's MLP, of rank 2 and scale 3/2.
func goodAdapter(t *testing.T, cfg Config) adapterFiles {
	f := adapterFiles{map[string]any{"peft_type": "LORA", "r": 5, "lora_alpha": 3.0, "rank_pattern": map[string]int{"down_proj": 2},
		"target_modules": []string{"q_proj", "down_proj"}, "bias": "none", "lora_dropout": 0.1, "use_dora": false, "modules_to_save": nil}, &writer{t: t}}
	for i := range cfg.Layers {
		f.add(adapterPrefix+"model.layers."+string(rune('0'+i))+".self_attn.q_proj", cfg.Heads*cfg.HeadDim, cfg.HiddenSize, 5)
	}
	f.add(adapterPrefix+lastDown(cfg), cfg.HiddenSize, cfg.IntermediateSize, 2)
	return f
}

func lastDown(cfg Config) string {
	return "model.layers." + string(rune('0'+cfg.Layers-1)) + ".mlp.down_proj"
}

func (f adapterFiles) add(module string, out, in, rank int) {
	f.tensor(module+".lora_A.weight", rank, in)
	f.tensor(module+".lora_B.weight", out, rank)
}

// tensor adds one of numbers between -1/2 and 1/2.
func (f adapterFiles) tensor(name string, shape ...int) {
	e := f.tensors.add(name, "F32", shape...)
	for i := range len(e.data) / 4 {
		x := float32((i*7919+len(name)*31)%1001-500) / 1000
		binary.LittleEndian.PutUint32(e.data[4*i:], math.Float32bits(x))
	}
}

func (f adapterFiles) save(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.tensors.write(filepath.Join(dir, adapterConfigName), config)
	f.tensors.write(filepath.Join(dir, adapterFile), safetensors(t, f.tensors.entries))
	return dir
}

// TestMergedWeights: each number is W + scale·B·A rounded once, from wherever it is
// read and in either dtype; a second adapter adds to the first; and what no adapter
// names is the model's own tensor.
func TestMergedWeights(t *testing.T) {
	cfg := smallConfig()
	f := goodAdapter(t, cfg)
	a, err := OpenAdapter(f.save(t))
	if err != nil {
		t.Fatal(err)
	}
	base := Generate(cfg, 3)
	source, err := Merge(base, cfg, a, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range cfg.Tensors() {
		got, err := source.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		own, err := base.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		want := float32sOf(own)
		if p, changed := a.products[moduleOf(spec.Name)]; changed {
			rank, scale := 5, 2*3.0/5
			if strings.HasSuffix(spec.Name, "down_proj.weight") {
				rank, scale = 2, 2*3.0/2
			}
			for i := range want {
				row, column, sum := i/spec.Shape[1], i%spec.Shape[1], 0.0
				for k := range rank {
					sum += float64(p.b.numbers[row*rank+k]) * float64(p.a.numbers[k*spec.Shape[1]+column])
				}
				want[i] = float32(float64(want[i]) + scale*sum)
			}
		} else if got.DType != own.DType {
			t.Errorf("%s is %s, and no adapter changes it", spec.Name, got.DType)
		}
		for from, n := range map[int]int{0: len(want), 1: 7, len(want) - 5: 5, len(want) / 2: len(want) / 3} {
			part, short := make([]float32, n), make([]bfloat16.BFloat16, n)
			got.Float32(part, from)
			got.BFloat16(short, from)
			for i, x := range part {
				// Sums in float64 differ by their order in the last bit of float32 at
				// most.
				if w := want[from+i]; math.Abs(float64(x-w)) > math.Abs(float64(w))*0x1p-23 || short[i] != roundToBFloat16(math.Float32bits(x)) {
					t.Fatalf("%s[%d] is %v and in bfloat16 %v, want %v", spec.Name, from+i, x, short[i].Float32(), w)
				}
			}
		}
	}
}

// TestSavedModules: parameters of modules_to_save take the place of the model's, such
// as heads.
func TestSavedModules(t *testing.T) {
	language, classifier := smallConfig(), smallConfig()
	language.TieEmbeddings, classifier.TieEmbeddings, classifier.Classes = false, false, []string{"a", "b"}
	savedHead(t, language, "lm_head")
	savedHead(t, classifier, "score")
}

func savedHead(t *testing.T, cfg Config, module string) {
	t.Helper()
	f := goodAdapter(t, cfg)
	f.config["modules_to_save"] = []string{module, "classifier"} // PEFT names modules that the model may lack
	headName := module + ".weight"
	f.tensor(adapterPrefix+headName, cfg.Head().Shape...)
	a, err := OpenAdapter(f.save(t))
	if err != nil {
		t.Fatal(err)
	}
	source, err := Merge(Generate(cfg, 3), cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := source.Tensor(headName)
	if err != nil {
		t.Fatal(err)
	}
	if numbers := float32sOf(got); !slices.Equal(numbers, a.saved[headName].numbers) || numbers[0] == numbers[1] {
		t.Errorf("the head is %v…, want %v…", numbers[:3], a.saved[headName].numbers[:3])
	}
}

// TestAdaptersRefused: what is not plain LoRA for this model is refused by the name of
// a field, a tensor or a module.
func TestAdaptersRefused(t *testing.T) {
	const query = adapterPrefix + "model.layers.0.self_attn.q_proj"
	set := func(field string, value any) func(f adapterFiles) {
		return func(f adapterFiles) { f.config[field] = value }
	}
	for name, c := range map[string]struct {
		change func(f adapterFiles)
		want   []string
	}{
		"another kind":             {set("peft_type", "IA3"), []string{"peft_type", "IA3"}},
		"DoRA":                     {set("use_dora", true), []string{"use_dora", "merge_and_unload"}},
		"a field of the future":    {set("use_tomorrow", map[string]int{"x": 1}), []string{"use_tomorrow"}},
		"biases":                   {set("bias", "lora_only"), []string{"bias", "lora_only"}},
		"another base":             {set("init_lora_weights", "pissa"), []string{"init_lora_weights", "pissa"}},
		"no rank":                  {set("r", 0), []string{"field r is 0"}},
		"a rank that is null":      {set("r", nil), []string{"field r is null; it must be at least 1"}},
		"a rank that is a text":    {set("r", "8"), []string{"field r has a JSON string where a whole number below 2^63 must be"}},
		"a rank that is a half":    {set("r", 8.5), []string{"field r has a JSON number 8.5 where a whole number below 2^63 must be"}},
		"targets that are none":    {set("target_modules", 5), []string{"field target_modules has a JSON number where a list must be"}},
		"layers that are a text":   {set("layers_to_transform", "0"), []string{"field layers_to_transform has a JSON string where a list must be"}},
		"no alpha":                 {set("lora_alpha", 0), []string{"field lora_alpha is 0; it must be a number above 0"}},
		"an alpha that is null":    {set("lora_alpha", nil), []string{"field lora_alpha is null; it must be a number above 0"}},
		"an alpha that is missing": {func(f adapterFiles) { delete(f.config, "lora_alpha") }, []string{"field lora_alpha is missing"}},
		"a module's null rank":     {set("rank_pattern", map[string]any{"down_proj": nil}), []string{`field rank_pattern["down_proj"] is null; it must be at least 1`}},
		"a module's null alpha":    {set("alpha_pattern", map[string]any{"q_proj": nil}), []string{`field alpha_pattern["q_proj"] is null; it must be a number above 0`}},
		"no kind":                  {set("peft_type", nil), []string{"field peft_type is null"}},
		"another rank":             {set("r", 4), []string{"q_proj", "makes its rank 4"}},
		"a rank of a module":       {set("rank_pattern", map[string]int{"down_proj": 3}), []string{"down_proj", "makes its rank 3"}},
		"two ranks of a module":    {set("rank_pattern", map[string]int{"down_proj": 2, "mlp.down_proj": 3}), []string{"rank_pattern", "two things"}},
		"a pattern of Python":      {set("alpha_pattern", map[string]float64{"(?!x)q_proj": 2}), []string{"alpha_pattern", "(?!x)q_proj"}},
		"targets of Python":        {set("target_modules", "(?!x).*_proj"), []string{"(?!x).*_proj", "regular expression"}},
		"a target without weights": {set("target_modules", []string{"q_proj", "down_proj", "v_proj"}), []string{"target_modules", "v_proj"}},
		"weights without a target": {set("target_modules", []string{"q_proj"}), []string{"down_proj", "target"}},
		"an excluded module":       {set("exclude_modules", "down_proj|.*mlp.*"), []string{"down_proj", "target"}},
		"another layer":            {set("layers_to_transform", 1), []string{"layers.0", "target"}},
		"tokens":                   {set("trainable_token_indices", []int{1, 2}), []string{"trainable_token_indices"}},
		"half a pair":              {func(f adapterFiles) { f.tensors.remove(query + ".lora_B.weight") }, []string{"q_proj", "lora_B"}},
		"a magnitude":              {func(f adapterFiles) { f.tensor(query+".lora_magnitude_vector", 64) }, []string{"lora_magnitude_vector", "not supported"}},
		"an embedding's":           {func(f adapterFiles) { f.tensor(adapterPrefix+"model.embed_tokens.lora_embedding_A", 5, 512) }, []string{"lora_embedding_A"}},
		"a tensor without a name":  {func(f adapterFiles) { f.tensor("model.norm.weight", 64) }, []string{"model.norm.weight", adapterPrefix}},
		"a norm that nobody saves": {func(f adapterFiles) { f.tensor(adapterPrefix+"model.norm.weight", 64) }, []string{"model.norm.weight", "modules_to_save"}},
		"a module not saved":       {set("modules_to_save", []string{"norm"}), []string{"norm.weight", "modules_to_save"}},
		"a tied head":              {func(f adapterFiles) { f.tensor(adapterPrefix+headName, 512, 64) }, []string{headName, "one matrix"}},
		"a vector":                 {func(f adapterFiles) { f.tensors.entry(query + ".lora_A.weight").Shape = []int{5 * 64} }, []string{"q_proj", "matrix"}},
		"no numbers of a float":    {func(f adapterFiles) { f.tensors.entry(query + ".lora_A.weight").DType = "I32" }, []string{"q_proj", "I32"}},
		"another model's width": {func(f adapterFiles) {
			f.tensors.remove(query + ".lora_A.weight")
			f.tensor(query+".lora_A.weight", 5, 63)
		}, []string{"q_proj", "[64 63]", "another model"}},
		"another model's layer": {func(f adapterFiles) { f.add(adapterPrefix+"model.layers.9.self_attn.q_proj", 64, 64, 5) }, []string{"layers.9", "another model"}},
		"nothing":               {func(f adapterFiles) { f.tensors.entries = nil }, []string{"no lora_A"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := smallConfig()
			f := goodAdapter(t, cfg)
			c.change(f)
			a, err := OpenAdapter(f.save(t))
			if err == nil {
				_, err = Merge(Generate(cfg, 3), cfg, a)
			}
			wantNamed(t, err, c.want)
		})
	}
}

// TestAdapterFilesMissing: the error names the file that a folder lacks.
func TestAdapterFilesMissing(t *testing.T) {
	for want, damage := range map[string]func(dir string) error{
		"has no adapter_config.json":       func(dir string) error { return os.Remove(filepath.Join(dir, adapterConfigName)) },
		"has no adapter_model.safetensors": func(dir string) error { return os.Remove(filepath.Join(dir, adapterFile)) },
		"safe_serialization": func(dir string) error {
			return os.Rename(filepath.Join(dir, adapterFile), filepath.Join(dir, "adapter_model.bin"))
		},
		"downloaded completely": func(dir string) error { return cut(filepath.Join(dir, adapterFile), -1) },
		"not a JSON object":     func(dir string) error { return cut(filepath.Join(dir, adapterConfigName), -1) },
	} {
		dir := goodAdapter(t, smallConfig()).save(t)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenAdapter(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestTargets: modules are named as PEFT names them.
func TestTargets(t *testing.T) {
	all := []string{"model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.layers.11.mlp.up_proj", "lm_head"}
	for config, want := range map[string][]int{
		`"target_modules": ["q_proj", "lm_head"]`:                               {0, 3},
		`"target_modules": ["proj"]`:                                            {},
		`"target_modules": "all-linear"`:                                        {0, 1, 2},
		`"target_modules": ".*\\.1\\..*"`:                                       {1},
		`"target_modules": ["up_proj"], "layers_to_transform": [0, 1]`:          {1},
		`"target_modules": "all-linear", "exclude_modules": ["mlp.up_proj"]`:    {0},
		`"target_modules": "all-linear", "exclude_modules": ".*up.*|.*\\.q_.*"`: {},
	} {
		c, err := parseAdapterConfig([]byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, ` + config + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, module := range all {
			if c.targets(module) {
				got[module] = true
			}
		}
		wanted := map[string]bool{}
		for _, i := range want {
			wanted[all[i]] = true
		}
		if !maps.Equal(got, wanted) {
			t.Errorf("%s targets %v, want %v", config, got, wanted)
		}
	}
}
