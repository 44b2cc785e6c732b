package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// CheckFormat refuses a path that exists but is no checkpoint folder: a file, or a
// folder of GGUF files without safetensors. It looks no further: LoadConfig and Open
// check what the folder's files hold.
func CheckFormat(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("model path cannot be read: %w", err)
	}
	const supported = "a folder with config.json, tokenizer.json and safetensors files"
	if !info.IsDir() {
		gguf, err := isGGUF(path)
		if err != nil {
			return fmt.Errorf("model path cannot be read: %w", err)
		}
		if gguf {
			return ggufError(path, supported)
		}
		return fmt.Errorf("model path %s is a file; name %s", path, supported)
	}
	weights, err := filepath.Glob(filepath.Join(path, "*.safetensors"))
	if err != nil || len(weights) > 0 {
		return err
	}
	files, err := filepath.Glob(filepath.Join(path, "*.gguf"))
	if err != nil || len(files) == 0 {
		return err
	}
	return ggufError(files[0], supported)
}

// ggufError names the file, and the way to make a checkpoint of it.
func ggufError(path, supported string) error {
	return fmt.Errorf("model path holds %s, and GGUF is not supported; name %s, which "+
		"scripts/gguf-checkpoint.py makes of a Llama's GGUF file", path, supported)
}

// isGGUF reports whether a file begins with GGUF's magic number
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
func isGGUF(path string) (is bool, err error) {
	file, _, err := openRegular(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(file, magic); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	return bytes.Equal(magic, []byte("GGUF")), nil
}
