package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Names of a model's files in its folder.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// Files is a Source of weights in a folder of safetensors files, mapped into memory.
// The files must not be changed or cut while it is open.
type Files struct {
	tensors map[string]Tensor
	unused  []string
	files   map[string]mapped // by base name
}

// Open maps dir's model.safetensors or, if there is none, the shards that
// model.safetensors.index.json lists. The files must hold every parameter of cfg in its
// shape, as F32, BF16 or F16, and no other parameter of a layer: so a checkpoint of
// another family is refused by the name of a tensor. Close releases the files.
func Open(dir string, cfg Config) (f *Files, err error) {
	f = &Files{tensors: map[string]Tensor{}, files: map[string]mapped{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	where, source, err := f.mapFiles(dir)
	if err != nil {
		return f, err
	}
	var missing []string // the error says how many: one is a damaged file, all are another model
	for _, spec := range cfg.Tensors() {
		name, ok := where[spec.Name]
		if !ok {
			missing = append(missing, spec.Name)
			continue
		}
		tensor, err := f.files[name].tensor(spec)
		if err != nil {
			return f, fmt.Errorf("%s: tensor %s %w", filepath.Join(dir, name), spec.Name, err)
		}
		f.tensors[spec.Name] = tensor
	}
	if len(missing) > 0 {
		return f, fmt.Errorf("%s lacks tensor %s (%d of the model's %d are missing); config.json may "+
			"belong to another checkpoint", source, missing[0], len(missing), len(cfg.Tensors()))
	}
	return f, f.checkRest(dir, cfg, where)
}

// checkRest looks at the tensors that the model has no parameter for: it refuses those
// without which the model would not be the one that was trained, and notes the others.
func (f *Files) checkRest(dir string, cfg Config, where map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(where)) {
		if _, used := f.tensors[name]; used || name == headName {
			continue // some checkpoints with a tied head store it all the same
		}
		if isLayerParameter(name) || cfg.Classes != nil && strings.HasPrefix(name, "score.") {
			return fmt.Errorf("%s holds tensor %s, for which the model of config.json has no place; "+
				"config.json may belong to another checkpoint", filepath.Join(dir, where[name]), name)
		}
		f.unused = append(f.unused, name)
	}
	return nil
}

// isLayerParameter reports whether a tensor is a parameter of a transformer layer. Old
// Llama checkpoints also store rotary frequencies there, which follow from the config.
func isLayerParameter(name string) bool {
	return strings.HasPrefix(name, "model.layers.") && !strings.HasSuffix(name, ".rotary_emb.inv_freq")
}

// Unused returns the names, sorted, of the tensors that the files hold beyond the
// model's parameters. They are worth a warning, since the checkpoint may be of another
// kind. A vocabulary head that is tied to the embedding is not among them.
func (f *Files) Unused() []string { return slices.Clone(f.unused) }

// Tensor implements Source.
func (f *Files) Tensor(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %s is not a parameter of the checkpoint's model", name)
	}
	return t, nil
}

// Close unmaps the files. It may be called more than once.
func (f *Files) Close() error {
	var errs []error
	for _, file := range f.files {
		errs = append(errs, file.close())
	}
	f.files, f.tensors = nil, nil
	return errors.Join(errs...)
}

// mapFiles maps the checkpoint's files. where gives for each tensor the base name of
// the file that holds it. source is the path of the file that says so.
func (f *Files) mapFiles(dir string) (where map[string]string, source string, err error) {
	single, index := filepath.Join(dir, singleFile), filepath.Join(dir, indexFile)
	file, err := mapFile(single)
	if err == nil {
		f.files[singleFile], where = file, map[string]string{}
		for name := range file.tensors {
			where[name] = singleFile
		}
		return where, single, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	data, err := readRegular(index, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%s has neither %s nor %s; download or convert the model's "+
			"safetensors files", dir, singleFile, indexFile)
	}
	if err != nil {
		return nil, "", fmt.Errorf("checkpoint index is not readable: %w", err)
	}
	where, err = parseIndex(data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", index, err)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(where))) {
		file, err := mapFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%s names shard %s, which is missing; download it again", index, name)
		}
		if err != nil {
			return nil, "", err
		}
		f.files[name] = file
	}
	return where, index, nil
}

// parseIndex reads which shard holds which tensor. A shard must be in the index's own
// folder: an index is data from elsewhere, and must not name any other file.
func parseIndex(data []byte) (map[string]string, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("checkpoint index is not valid: %w", err)
	}
	if len(index.WeightMap) == 0 {
		return nil, errors.New("field weight_map is missing or empty")
	}
	for tensor, file := range index.WeightMap {
		if file != filepath.Base(file) || !strings.HasSuffix(file, ".safetensors") {
			return nil, fmt.Errorf("field weight_map[%q] is %q, not the name of a .safetensors file", tensor,
				file)
		}
	}
	return index.WeightMap, nil
}
