package pjrt

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Everything that changes what the compiler makes must change the key.
func TestKeyTellsApart(t *testing.T) {
	base := target{plugin: "digest", platform: "cuda", version: "1", devices: []string{"H100"}}
	changed := func(change func(*target)) cacheKey {
		other := base
		change(&other)
		return other.key("mlir", []byte("program"), []byte("options"))
	}
	first := base.key("mlir", []byte("program"), []byte("options"))
	if base.key("mlir", []byte("program"), []byte("options")) != first {
		t.Error("the key is not stable")
	}
	keys := map[string]cacheKey{
		"format":   base.key("hlo", []byte("program"), []byte("options")),
		"program":  base.key("mlir", []byte("programs"), []byte("options")),
		"options":  base.key("mlir", []byte("program"), []byte("option")),
		"border":   base.key("mlir", []byte("programo"), []byte("ptions")),
		"plugin":   changed(func(t *target) { t.plugin = "other" }),
		"platform": changed(func(t *target) { t.platform = "cpu" }),
		"version":  changed(func(t *target) { t.version = "2" }),
		"device":   changed(func(t *target) { t.devices = []string{"H200"} }),
		"devices":  changed(func(t *target) { t.devices = []string{"H100", "H100"} }),
	}
	t.Setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
	keys["flags"] = changed(func(*target) {})
	seen := map[cacheKey]string{first: "none"}
	for name, key := range keys {
		if other, ok := seen[key]; ok {
			t.Errorf("%s gives the key of %s", name, other)
		}
		seen[key] = name
	}
}

func TestFileDigestFollowsTheFile(t *testing.T) {
	path, memo := filepath.Join(t.TempDir(), "plugin.so"), t.TempDir()
	for _, content := range []string{"one", "two", "three"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		stamp := time.Unix(int64(len(content))*1000+int64(content[0]), 0)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time from the memo
			got, err := fileDigest(path, memo)
			if err != nil || got != digestOf([]byte(content)) {
				t.Errorf("%s: %s, %v", content, got, err)
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// As the memo promises, a file that looks the same is not read again.
	if err := os.WriteFile(path, []byte("THREE"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if got, err := fileDigest(path, memo); err != nil || got != digestOf([]byte("three")) {
		t.Errorf("%s, %v", got, err)
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
