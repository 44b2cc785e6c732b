package pjrt

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Everything that changes what the compiler makes must change the key.
func TestKeyTellsApart(t *testing.T) {
	keyOf := func(change func(p *Plugin), format, program, options string) cacheKey {
		p := &Plugin{digest: func() (string, error) { return "digest", nil }}
		p.info = Info{Platform: "cpu", PlatformVersion: "1", Devices: []string{"cpu"}}
		change(p)
		key, err := p.key(format, []byte(program), []byte(options))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	same := func(*Plugin) {}
	first := keyOf(same, "mlir", "program", "options")
	if keyOf(same, "mlir", "program", "options") != first {
		t.Error("the key is not stable")
	}
	keys := map[string]cacheKey{
		"format":  keyOf(same, "hlo", "program", "options"),
		"program": keyOf(same, "mlir", "programs", "options"),
		"options": keyOf(same, "mlir", "program", "option"),
		"border":  keyOf(same, "mlir", "programo", "ptions"),
		"plugin": keyOf(func(p *Plugin) {
			p.digest = func() (string, error) { return "other", nil }
		}, "mlir", "program", "options"),
		"platform": keyOf(func(p *Plugin) { p.info.Platform = "cuda" }, "mlir", "program", "options"),
		"version":  keyOf(func(p *Plugin) { p.info.PlatformVersion = "2" }, "mlir", "program", "options"),
		"device":   keyOf(func(p *Plugin) { p.info.Devices = []string{"other"} }, "mlir", "program", "options"),
	}
	t.Setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
	keys["flags"] = keyOf(same, "mlir", "program", "options")
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
