package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sys/unix"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// Checkpoint is a Source of weights in a folder of safetensors files, mapped into
// memory. The files must not be changed or cut while it is open.
type Checkpoint struct {
	tensors map[string]Tensor
	unused  []string
	files   map[string]mapped // by base name
}

type mapped struct {
	bytes   []byte
	tensors map[string]stored
}

// Open maps dir's model.safetensors or, where there is none, the shards that
// model.safetensors.index.json lists, and checks that they hold every parameter of cfg
// in its shape, as F32, BF16 or F16, and no other parameter of a block: a checkpoint of
// another family is refused by the name of a tensor. Close releases them.
func Open(dir string, cfg Config) (c *Checkpoint, err error) {
	c = &Checkpoint{tensors: map[string]Tensor{}, files: map[string]mapped{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	where, source, err := c.mapFiles(dir)
	if err != nil {
		return c, err
	}
	var missing []string
	for _, spec := range cfg.Tensors() {
		name, ok := where[spec.Name]
		if !ok {
			missing = append(missing, spec.Name)
			continue
		}
		tensor, err := c.files[name].tensor(spec)
		if err != nil {
			return c, fmt.Errorf("%s: tensor %s %w", filepath.Join(dir, name), spec.Name, err)
		}
		c.tensors[spec.Name] = tensor
	}
	if len(missing) > 0 {
		return c, fmt.Errorf("%s lacks tensor %s (%d of the model's %d are missing); config.json may "+
			"belong to another checkpoint", source, missing[0], len(missing), len(cfg.Tensors()))
	}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		if _, used := c.tensors[name]; used || name == headName {
			continue
		}
		if isBlockParameter(name) || cfg.Classes != nil && strings.HasPrefix(name, "score.") {
			return c, fmt.Errorf("%s holds tensor %s, for which the model of config.json has no place; "+
				"config.json may belong to another checkpoint", filepath.Join(dir, where[name]), name)
		}
		c.unused = append(c.unused, name)
	}
	return c, nil
}

// isBlockParameter tells whether a tensor belongs to a transformer block, so that a
// model that leaves it out is not the one that was trained. Old Llama checkpoints keep
// the rotary frequencies, which follow from the config.
func isBlockParameter(name string) bool {
	return strings.HasPrefix(name, "model.layers.") && !strings.HasSuffix(name, ".rotary_emb.inv_freq")
}

// Unused names, sorted, what the files hold beyond the model's parameters: worth a
// warning, since the checkpoint may be of another kind. A vocabulary head that is tied
// to the embedding is not named.
func (c *Checkpoint) Unused() []string { return slices.Clone(c.unused) }

// Tensor implements Source.
func (c *Checkpoint) Tensor(name string) (Tensor, error) {
	t, ok := c.tensors[name]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %s is not a parameter of the checkpoint's model", name)
	}
	return t, nil
}

// Close unmaps the files. It may be called more than once.
func (c *Checkpoint) Close() error {
	var errs []error
	for name, file := range c.files {
		if err := unix.Munmap(file.bytes); err != nil {
			errs = append(errs, fmt.Errorf("%s is not unmapped: %w", name, err))
		}
	}
	c.files, c.tensors = nil, nil
	return errors.Join(errs...)
}

// mapFiles maps the checkpoint's files and says which of them holds which tensor, and
// what path says so.
func (c *Checkpoint) mapFiles(dir string) (where map[string]string, source string, err error) {
	single, index := filepath.Join(dir, singleFile), filepath.Join(dir, indexFile)
	err = c.mapFile(dir, singleFile)
	if err == nil {
		where = map[string]string{}
		for name := range c.files[singleFile].tensors {
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
		err := c.mapFile(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%s names shard %s, which is missing; download it again", index, name)
		}
		if err != nil {
			return nil, "", err
		}
	}
	return where, index, nil
}

// parseIndex reads which shard holds which tensor. Shards lie in the index's own
// folder.
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

func (c *Checkpoint) mapFile(dir, name string) error {
	path := filepath.Join(dir, name)
	file, info, err := openRegular(path)
	if err != nil {
		return fmt.Errorf("checkpoint is not readable: %w", err)
	}
	defer file.Close() // the mapping outlives it
	if info.Size() == 0 || info.Size() > math.MaxInt {
		return fmt.Errorf("%s is empty; download it again", path)
	}
	bytes, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("%s cannot be mapped into memory: %w", path, err)
	}
	tensors, err := parseSafetensors(bytes)
	c.files[name] = mapped{bytes, tensors} // even if invalid, so that Close unmaps it
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// tensor gives the tensor that spec asks for. Errors go on from the tensor's name.
func (m mapped) tensor(spec TensorSpec) (Tensor, error) {
	t, ok := m.tensors[spec.Name]
	if !ok {
		return Tensor{}, fmt.Errorf("is missing, though %s says it is there", indexFile)
	}
	if !slices.Equal(t.shape, spec.Shape) {
		return Tensor{}, fmt.Errorf("has shape %v, config.json makes it %v", t.shape, spec.Shape)
	}
	bytes := m.bytes[t.begin:t.end:t.end]
	switch t.dtype {
	case "F32":
		return Tensor{spec, dtypes.Float32, float32Bytes(bytes)}, nil
	case "F16":
		return Tensor{spec, dtypes.Float16, float16Bytes(bytes)}, nil
	case "BF16":
		return Tensor{spec, dtypes.BFloat16, bfloat16Bytes(bytes)}, nil
	}
	return Tensor{}, fmt.Errorf("is stored as %s; only F32, BF16 and F16 are supported, use an "+
		"unquantized checkpoint", t.dtype)
}
