package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeCache is a hub cache in a folder of the test's, with the model org/tiny in two
// shards, as Python lays it out.
type fakeCache struct {
	*testing.T
	dir, repo, snapshot string
}

func newFakeCache(t *testing.T) *fakeCache {
	dir := t.TempDir()
	repo := filepath.Join(dir, "models--org--tiny")
	f := &fakeCache{t, dir, repo, filepath.Join(repo, "snapshots", commit)}
	f.write(filepath.Join(repo, "refs", "main"), commit+"\n")
	f.link("config.json", "{}")
	f.link("model.safetensors.index.json", `{"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}}`)
	f.link("one.safetensors", "1")
	f.link("two.safetensors", "2")
	return f
}

func (f *fakeCache) write(path, text string) {
	f.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fakeCache) blob(name string) string { return filepath.Join(f.repo, "blobs", "of-"+name) }

// link puts a blob into the cache and links to it from the snapshot.
func (f *fakeCache) link(name, text string) {
	f.Helper()
	f.write(f.blob(name), text)
	if err := os.MkdirAll(f.snapshot, 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("../../blobs/of-"+name, filepath.Join(f.snapshot, name)); err != nil {
		f.Fatal(err)
	}
}

func (f *fakeCache) remove(path string) {
	f.Helper()
	if err := os.RemoveAll(path); err != nil {
		f.Fatal(err)
	}
}

// TestPythonCache: what Python's huggingface_hub has fetched is found.
func TestPythonCache(t *testing.T) {
	f := newFakeCache(t)
	for _, revision := range []string{"main", commit} {
		if dir, err := cachedSnapshot(f.dir, "org/tiny", revision); err != nil || dir != f.snapshot {
			t.Errorf("revision %s: %q, %v", revision, dir, err)
		}
	}
}

// TestCacheFaults: a fault of the cache names its path and what to do, and --offline is
// named only where nothing is cached.
func TestCacheFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *fakeCache)
		path  string // in the model's folder
		want  string
	}{
		"a ref to nowhere":      {func(f *fakeCache) { f.remove(f.snapshot) }, "refs/main", "names the snapshot"},
		"an empty ref":          {func(f *fakeCache) { f.write(filepath.Join(f.repo, "refs", "main"), "") }, "refs/main", "names no commit"},
		"an info without a sha": {func(f *fakeCache) { f.write(filepath.Join(f.repo, "info", "main"), "{") }, "info/main", "names no commit"},
		"a missing config":      {func(f *fakeCache) { f.remove(filepath.Join(f.snapshot, "config.json")) }, "snapshots/" + commit + "/config.json", "is missing"},
		"a dangling config":     {func(f *fakeCache) { f.remove(f.blob("config.json")) }, "snapshots/" + commit + "/config.json", "is a link to"},
		"a dangling index":      {func(f *fakeCache) { f.remove(f.blob("model.safetensors.index.json")) }, "snapshots/" + commit + "/model.safetensors.index.json", "is a link to"},
		"a dangling shard":      {func(f *fakeCache) { f.remove(f.blob("two.safetensors")) }, "snapshots/" + commit + "/two.safetensors", "is a link to"},
		"a missing shard":       {func(f *fakeCache) { f.remove(filepath.Join(f.snapshot, "one.safetensors")) }, "snapshots/" + commit + "/one.safetensors", "is missing"},
		"an index cut short": {func(f *fakeCache) { f.write(f.blob("model.safetensors.index.json"), "{") },
			"snapshots/" + commit + "/model.safetensors.index.json", "is not whole"},
		"no weights": {func(f *fakeCache) { f.remove(filepath.Join(f.snapshot, "model.safetensors.index.json")) },
			"snapshots/" + commit + "/model.safetensors", "is missing"},
		"a pipe": {func(f *fakeCache) {
			f.remove(f.blob("config.json"))
			if err := unix.Mkfifo(f.blob("config.json"), 0o600); err != nil {
				f.Fatal(err)
			}
		}, "snapshots/" + commit + "/config.json", "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeCache(t)
			c.spoil(f)
			_, err := testModel("org/tiny", "main", f.dir, true).downloadNow(t)
			if err == nil {
				t.Fatal("the cached model is served")
			}
			said := err.Error()
			if !strings.Contains(said, filepath.Join(f.repo, c.path)) || !strings.Contains(said, c.want) || !strings.Contains(said, "download the model again") ||
				strings.Contains(said, "--offline") || strings.Contains(said, "\n") {
				t.Errorf("error %q; want the path %s, %q and to download again", said, c.path, c.want)
			}
		})
	}
	f := newFakeCache(t)
	for _, c := range []Model{
		testModel("org/other", "main", f.dir, true),
		testModel("org/tiny", "v2", f.dir, true),
	} {
		if _, err := c.downloadNow(t); !errors.Is(err, errNotCached) || !strings.Contains(err.Error(), "--offline is set") || !strings.Contains(err.Error(), f.dir) {
			t.Errorf("%s in revision %s: %v", c.ID, c.Revision, err)
		}
	}
}
