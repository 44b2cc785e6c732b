package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names in the files of PEFT (https://huggingface.co/docs/peft), which trains adapters.
const (
	adapterConfigName = "adapter_config.json"
	adapterFile       = "adapter_model.safetensors"
	adapterPrefix     = "base_model.model." // begins every tensor's name
)

// Adapter is a LoRA adapter (arXiv:2106.09685) in PEFT's format. For some of a model's
// matrices [out, in] it has two more, B [out, r] and A [r, in], whose product is added
// to the matrix. It may also have whole parameters that replace the model's
// (modules_to_save). It is in memory, needs no closing, and does not change.
type Adapter struct {
	dir      string
	config   adapterConfig
	products map[string]product // by module, e.g. model.layers.0.self_attn.q_proj
	saved    map[string]matrix  // by parameter, e.g. lm_head.weight
}

// product is what is added to a module's weight: scale · B · A.
type product struct {
	a, b  matrix
	scale float64
}

// matrix is a tensor of an adapter's file, in row-major order.
type matrix struct {
	shape   []int
	numbers []float32
}

// OpenAdapter reads adapter_config.json and adapter_model.safetensors in dir. It honours
// every field and tensor that would change the merged weights, or refuses it by name.
// The files are not used after it returns.
func OpenAdapter(dir string) (*Adapter, error) {
	a := &Adapter{dir: dir, products: map[string]product{}, saved: map[string]matrix{}}
	path := filepath.Join(dir, adapterConfigName)
	data, err := readRegular(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("adapter %s has no %s; name a local folder with a LoRA adapter as PEFT "+
			"saves it", dir, adapterConfigName)
	}
	if err != nil {
		return nil, fmt.Errorf("adapter is not readable: %w", err)
	}
	if a.config, err = parseAdapterConfig(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := a.read(filepath.Join(dir, adapterFile)); err != nil {
		return nil, err
	}
	return a, nil
}

// read reads the adapter's tensors from its file.
func (a *Adapter) read(path string) (err error) {
	file, err := mapFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(a.dir, "adapter_model.bin")); err == nil {
			return fmt.Errorf("adapter %s has pickled weights and no %s; save it again with "+
				"safe_serialization=True", a.dir, adapterFile)
		}
		return fmt.Errorf("adapter %s has no %s; save it again with PEFT's save_pretrained", a.dir,
			adapterFile)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	for _, name := range slices.Sorted(maps.Keys(file.tensors)) {
		tensor, err := file.tensor(TensorSpec{name, file.tensors[name].shape})
		if err != nil {
			return fmt.Errorf("%s: tensor %s %w", path, name, err)
		}
		m := matrix{tensor.Shape, make([]float32, tensor.Size())}
		tensor.Float32(m.numbers, 0)
		if err := a.add(name, m); err != nil {
			return fmt.Errorf("%s: tensor %s %w", path, name, err)
		}
	}
	if err := a.checkComplete(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// add puts a tensor where its name says that it belongs. An error's text continues a
// sentence that begins with the tensor's name.
func (a *Adapter) add(name string, m matrix) error {
	parameter, ok := strings.CutPrefix(name, adapterPrefix)
	if !ok {
		return fmt.Errorf("is not named as PEFT names them, %s…", adapterPrefix)
	}
	if module, ok := strings.CutSuffix(parameter, ".lora_A.weight"); ok {
		p := a.products[module]
		p.a = m
		a.products[module] = p
		return nil
	}
	if module, ok := strings.CutSuffix(parameter, ".lora_B.weight"); ok {
		p := a.products[module]
		p.b = m
		a.products[module] = p
		return nil
	}
	if strings.Contains(parameter, ".lora_") {
		return errors.New("belongs to a kind of adapter that is not supported; merge it into the model " +
			"with PEFT's merge_and_unload")
	}
	// PEFT also saves the unchanged embedding and head if one of them has an adapter.
	if module, ok := strings.CutSuffix(parameter, ".base_layer.weight"); ok {
		parameter = module + ".weight"
	} else if !a.saves(parameter) && parameter != EmbeddingName && parameter != headName {
		return errors.New("is no part of a LoRA adapter, and field modules_to_save does not name it")
	}
	a.saved[parameter] = m
	return nil
}

// saves reports whether modules_to_save names the parameter's module, by the end of its
// name as PEFT does: "norm" also names every input_layernorm.
func (a *Adapter) saves(parameter string) bool {
	return slices.ContainsFunc(a.config.Saved,
		func(name string) bool { return strings.HasSuffix(moduleOf(parameter), name) })
}

// moduleOf returns the name of the module that has a parameter.
func moduleOf(parameter string) string {
	return parameter[:max(0, strings.LastIndexByte(parameter, '.'))]
}

// checkComplete checks that each module has both matrices, in shapes that fit each
// other and the config's rank, and is a target of the config. It sets the products'
// scales. Files and config are checked against each other because they may have been
// copied from different adapters.
func (a *Adapter) checkComplete() error {
	for _, module := range slices.Sorted(maps.Keys(a.products)) {
		p := a.products[module]
		for name, m := range map[string]matrix{"lora_A": p.a, "lora_B": p.b} {
			if len(m.shape) != 2 {
				return fmt.Errorf("module %s has %s of shape %v; it must be a matrix", module, name, m.shape)
			}
		}
		rank, scale, err := a.config.rank(module)
		if err != nil {
			return err
		}
		if p.a.shape[0] != rank || p.b.shape[1] != rank {
			return fmt.Errorf("module %s has lora_A %v and lora_B %v; %s makes its rank %d", module,
				p.a.shape, p.b.shape, adapterConfigName, rank)
		}
		if !a.config.targets(module) {
			return fmt.Errorf("module %s has weights, but %s does not name it as a target; the files may "+
				"belong to different adapters", module, adapterConfigName)
		}
		p.scale = scale
		a.products[module] = p
	}
	if len(a.products) == 0 {
		return errors.New("file holds no lora_A and lora_B; it is not a LoRA adapter's")
	}
	return a.checkTargets()
}

// checkTargets checks that each target that the config names has weights.
func (a *Adapter) checkTargets() error {
	for _, name := range a.config.Targets.names {
		if a.config.Excluded.pattern != nil || a.config.Excluded.has(name) {
			continue // the exclusion may leave none of the target's modules
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(a.products)),
			func(module string) bool { return isNamed(module, name) }) {
			return fmt.Errorf("field target_modules of %s names %q, of which the file has no weights",
				adapterConfigName, name)
		}
	}
	return nil
}

// Parameters returns how many numbers the adapter has.
func (a *Adapter) Parameters() (n int64) {
	for _, p := range a.products {
		n += int64(len(p.a.numbers) + len(p.b.numbers))
	}
	for _, m := range a.saved {
		n += int64(len(m.numbers))
	}
	return n
}

// Modules returns how many of the model's modules the adapter changes.
func (a *Adapter) Modules() int { return len(a.products) + len(a.saved) }

// Folder returns the folder that the adapter was read from.
func (a *Adapter) Folder() string { return a.dir }
