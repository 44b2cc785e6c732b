package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRegularFilesOnly: a pipe, a device or a folder in place of any file of a model is
// refused at once, by its path. A pipe without a writer would otherwise wait for ever.
func TestRegularFilesOnly(t *testing.T) {
	for kind, replace := range map[string]func(path string) error{
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, name := range []string{"config.json", singleFile, indexFile, shardName(0)} {
			t.Run(kind+" as "+name, func(t *testing.T) {
				dir, cfg := t.TempDir(), smallConfig()
				if name != singleFile {
					newWriter(t, Generate(cfg, 9), cfg.Tensors(), "F32").save(dir, 2)
				}
				path := filepath.Join(dir, name)
				if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				if err := replace(path); err != nil {
					t.Fatal(err)
				}
				var err error
				if name == "config.json" {
					_, err = LoadConfig(dir)
				} else {
					_, err = Open(dir, cfg)
				}
				if err == nil || !strings.Contains(err.Error(), path+" is not a regular file") {
					t.Errorf("error %v", err)
				}
			})
		}
	}
	pipe := filepath.Join(t.TempDir(), "model")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckFormat(pipe); err == nil || !strings.Contains(err.Error(), pipe+" is not a regular file") {
		t.Errorf("a pipe as the model: %v", err)
	}
}
