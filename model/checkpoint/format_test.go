package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFormat(t *testing.T) {
	write := func(dir, name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gguf, both, empty := t.TempDir(), t.TempDir(), t.TempDir()
	write(gguf, "config.json", "{}")
	named := write(gguf, "model.Q4_1.gguf", "GGUF\x03\x00\x00\x00")
	write(both, "model.gguf", "GGUF")
	write(both, "model-00001-of-00002.safetensors", "")
	for _, test := range []struct {
		path string
		want []string // parts of the error; none: there is none
	}{
		{both, nil},
		{empty, nil}, // LoadConfig names what is missing
		{gguf, []string{named, "GGUF is not supported", "safetensors", "scripts/gguf-checkpoint.py"}},
		{named, []string{named, "GGUF is not supported", "safetensors", "scripts/gguf-checkpoint.py"}},
		{write(empty, "weights.bin", "GGUF and more"), []string{"weights.bin", "GGUF is not supported"}},
		{write(empty, "model.safetensors", "\x08"), []string{"model.safetensors is a file", "name a folder with config.json"}},
		{filepath.Join(empty, "none"), []string{"none", "cannot be read"}},
	} {
		err := CheckFormat(test.path)
		if (err == nil) != (test.want == nil) {
			t.Errorf("%s: error is %v", test.path, err)
		}
		for _, part := range test.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("error %q does not name %q", err, part)
			}
		}
	}
	if _, err := os.Stat("../../scripts/gguf-checkpoint.py"); err != nil {
		t.Errorf("the script that the error names: %v", err)
	}
}
