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

// errNotCached means that the cache holds nothing of a model in this revision. Any other
// fault of the cache is a model that is there in part.
var errNotCached = errors.New("is not in the cache")

// cache is the folder in which the hub's files are kept, by huggingface_hub's rules: a
// folder given, HF_HUB_CACHE, HF_HOME/hub, or ~/.cache/huggingface/hub.
func (m Model) cache() string {
	if home := os.Getenv("HF_HOME"); home != "" {
		return cmp.Or(m.Dir, os.Getenv("HF_HUB_CACHE"), filepath.Join(home, "hub"))
	}
	return cmp.Or(m.Dir, os.Getenv("HF_HUB_CACHE"), huggingface.DefaultCacheDir())
}

// cacheFolder is the name of a model's folder in the cache.
func cacheFolder(model string) string { return "models--" + strings.ReplaceAll(model, "/", "--") }

// cachedSnapshot finds a model's folder in the cache, which has one for each commit:
//
//	models--Qwen--Qwen3-0.6B/
//	  refs/main, or info/main                  the commit of the branch
//	  snapshots/COMMIT/model.safetensors       a link to
//	  blobs/DIGEST                             the file
//
// It returns a folder that is complete, with its config and all the shards that its
// index names. The error names the path at fault and the remedy; it wraps errNotCached
// if there is nothing of the model.
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
	for _, name := range []string{configName, indexName, weightsName} {
		path := filepath.Join(dir, name)
		err := checkCached(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == indexName: // one file, then
		case err != nil:
			return "", err
		case name == indexName:
			return dir, checkShards(path)
		}
	}
	return dir, nil
}

// cachedCommit returns the commit that the cache has for a revision, and the file that
// names it. If no file does, the revision may be a commit itself: it is returned, with
// "" for the file. go-huggingface keeps the hub's description of the model, in JSON, and
// huggingface_hub the commit alone.
func cachedCommit(repo, revision string) (commit, ref string, err error) {
	ref = filepath.Join(repo, "info", revision)
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
		ref = filepath.Join(repo, "refs", revision)
		data, err = readCached(ref)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return revision, "", nil
	case err != nil:
		return "", "", err
	}
	// A commit that is no plain name would lead out of the folder.
	if commit = strings.TrimSpace(string(data)); commit == "" || commit != filepath.Base(commit) {
		return "", "", fmt.Errorf("cache file %s names no commit; remove it and download the "+
			"model again", ref)
	}
	return commit, ref, nil
}

// checkShards returns an error unless the cache has every shard that its index names.
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

// checkCached returns an error unless path is a regular file or a link to one, as the
// cache has them. The error wraps fs.ErrNotExist if there is nothing at path.
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

// readCached reads a small file of the cache, such as an index of shards.
func readCached(path string) ([]byte, error) {
	if err := checkCached(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
