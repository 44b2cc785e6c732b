package hub

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	huggingface "github.com/gomlx/go-huggingface/hub"
)

// errNotCached tells that the hub's cache holds nothing of a model in this revision.
var errNotCached = errors.New("is not in the cache")

// cache is where the hub's files are kept.
func (m Model) cache() string {
	if home := os.Getenv("HF_HOME"); home != "" {
		return cmp.Or(m.Dir, os.Getenv("HF_HUB_CACHE"), filepath.Join(home, "hub"))
	}
	return cmp.Or(m.Dir, os.Getenv("HF_HUB_CACHE"), huggingface.DefaultCacheDir())
}

// cacheFolder is the name of a model's folder in the cache.
func cacheFolder(model string) string { return "models--" + strings.ReplaceAll(model, "/", "--") }

// cachedSnapshot finds a model's folder in the cache: whole, with its config and all
// the shards that its index names. The error names the path at fault and what to do
// about it; it is errNotCached where there is nothing of the model.
func cachedSnapshot(cache, model, revision string) (string, error) {
	repo := filepath.Join(cache, cacheFolder(model))
	if _, err := os.Stat(repo); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("model %s %w %s", model, errNotCached, cache)
	}
	commit, ref, err := cachedCommit(repo, revision)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(repo, "snapshots", commit)
	if _, err := os.Stat(dir); err != nil {
		if ref == "" {
			return "", fmt.Errorf("model %s in revision %s %w %s", model, revision, errNotCached, repo)
		}
		return "", fmt.Errorf("cache file %s names the snapshot %s, which is not there; remove "+
			"that file and download the model again", ref, dir)
	}
	for _, name := range []string{configName, "model.safetensors.index.json", "model.safetensors"} {
		path := filepath.Join(dir, name)
		err := checkCached(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "model.safetensors.index.json": // one file, then
		case err != nil:
			return "", err
		case name == "model.safetensors.index.json":
			return dir, checkShards(path)
		}
	}
	return dir, nil
}

// cachedCommit gives the commit that the cache has for a revision, and the file that
// says so; "" if none does, and the revision may be a commit itself.
func cachedCommit(repo, revision string) (commit, ref string, err error) {
	ref = filepath.Join(repo, "info", revision) // go-huggingface
	data, err := readCached(ref)
	if err == nil {
		var info struct{ SHA string }
		if err := json.Unmarshal(data, &info); err != nil || info.SHA == "" {
			return "", "", fmt.Errorf("cache file %s names no commit; remove it and download the "+
				"model again", ref)
		}
		return info.SHA, ref, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		ref = filepath.Join(repo, "refs", revision) // Python's huggingface_hub
		data, err = readCached(ref)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return revision, "", nil
	case err != nil:
		return "", "", err
	}
	if commit = strings.TrimSpace(string(data)); commit == "" || commit != filepath.Base(commit) {
		return "", "", fmt.Errorf("cache file %s names no commit; remove it and download the "+
			"model again", ref)
	}
	return commit, ref, nil
}

// checkShards wants the shards that a cached index names.
func checkShards(index string) error {
	var content struct {
		Files map[string]string `json:"weight_map"`
	}
	data, err := readCached(index)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return fmt.Errorf("cached file %s is not whole (%w); remove it and download the model again",
			index, err)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(content.Files))) {
		if err := checkCached(filepath.Join(filepath.Dir(index), name)); err != nil {
			return err
		}
	}
	return nil
}

// checkCached wants a regular file, or a link to one, as the cache has them.
func checkCached(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular():
		return nil
	case err == nil:
		return fmt.Errorf("cached file %s is not a regular file; remove it and download the model "+
			"again", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cached file cannot be read: %w; download the model again", err)
	}
	if blob, linkErr := os.Readlink(path); linkErr == nil {
		return fmt.Errorf("cached file %s is a link to %s, which is missing; remove the link and "+
			"download the model again", path, blob)
	}
	return fmt.Errorf("cached file %s is missing (%w); download the model again", path, fs.ErrNotExist)
}

// readCached reads a small file of the cache.
func readCached(path string) ([]byte, error) {
	if err := checkCached(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
