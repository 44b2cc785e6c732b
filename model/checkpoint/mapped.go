package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sys/unix"
)

// mapped is a safetensors file that is mapped into memory: its pages are read from disk
// when their numbers are first used. close unmaps it.
type mapped struct {
	path    string
	bytes   []byte
	tensors map[string]stored
}

// mapFile maps a file and reads its header. The file must not be cut while it is
// mapped: reading behind its end would kill the process.
func mapFile(path string) (m mapped, err error) {
	file, info, err := openRegular(path)
	if err != nil {
		return m, fmt.Errorf("checkpoint is not readable: %w", err)
	}
	defer file.Close() // the mapping outlives it
	if info.Size() == 0 || info.Size() > math.MaxInt {
		return m, fmt.Errorf("%s is empty; download it again", path)
	}
	bytes, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return m, fmt.Errorf("%s cannot be mapped into memory: %w", path, err)
	}
	m = mapped{path: path, bytes: bytes}
	if m.tensors, err = parseSafetensors(bytes); err != nil {
		return mapped{}, errors.Join(fmt.Errorf("%s: %w", path, err), m.close())
	}
	return m, nil
}

// close unmaps the file. It must be called once.
func (m mapped) close() error {
	if err := unix.Munmap(m.bytes); err != nil {
		return fmt.Errorf("%s is not unmapped: %w", m.path, err)
	}
	return nil
}

// tensor returns the tensor with spec's name, which must have spec's shape. An error's
// text continues a sentence that begins with the tensor's name.
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
