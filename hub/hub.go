// Package hub fetches models of the Hugging Face hub into the hub's own cache, in the
// layout that Python's huggingface_hub uses too, and finds them there again.
//
// It knows files, digests and HTTP. It must not know what is in a file: that is for
// model and tokenizer. Begin with Model.Download.
//
// The transfer itself, the cache's layout and its locks between processes are those of
// github.com/gomlx/go-huggingface. This package adds a fast answer where the hub is out
// of reach, the digests, the cache as a fallback, and errors with a remedy.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	huggingface "github.com/gomlx/go-huggingface/hub"
	"golang.org/x/sync/errgroup"

	"scored/internal/within"
)

// Model names a model of the hub, and the cache that its files are kept in.
type Model struct {
	ID       string // such as Qwen/Qwen3-0.6B
	Revision string // a branch, a tag or a commit
	Dir      string // the cache's folder; "" is the hub's own
	Offline  bool   // only the cache is used, never the network

	Log *slog.Logger
	// Begin is called before the download of the weights. doing returns a line about the
	// progress since then, for a log. Any goroutine may call it, also after Download has
	// returned.
	Begin func(what string, doing func() string)
}

// ErrNoID is wrapped by Download's error where the ID cannot be one of the hub. The
// network has not been used then.
var ErrNoID = errors.New("neither a folder nor a hub id")

// Download returns the folder of the model, and first fetches into the cache the files
// that it lacks. A revision that is a branch is looked up on the hub each time. Where
// the hub cannot be reached, a complete model in the cache is used, with a warning.
//
// check is called with the folder when config.json is in it, before anything large is
// fetched. Its error ends the download and is returned as it is.
//
// The environment variables HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE and HF_HOME mean what
// they mean to huggingface_hub. When ctx ends, Download returns its error at once; files
// that are complete stay in the cache.
func (m Model) Download(ctx context.Context, check func(dir string) error) (string, error) {
	if strings.Count(m.ID, "/") != 1 || strings.HasPrefix(m.ID, ".") || strings.HasPrefix(m.ID, "/") {
		return "", fmt.Errorf("model path %q is %w such as Qwen/Qwen3-0.6B", m.ID, ErrNoID)
	}
	cached, cacheFault := cachedSnapshot(m.cache(), m.ID, m.Revision)
	if m.Offline {
		if errors.Is(cacheFault, errNotCached) {
			cacheFault = fmt.Errorf("%w, and --offline is set; download it where there is a network",
				cacheFault)
		}
		return cached, cacheFault
	}
	began := time.Now()
	digests, err := m.digests(ctx)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return m.withoutHub(err, cached, cacheFault)
	}
	repo := m.repo()
	wanted, err := within.Context(ctx, func() ([]string, error) { return modelFiles(repo) }, nil)
	if err != nil {
		return "", fmt.Errorf("model %s: files cannot be listed on the hub: %w", m.ID, err)
	}
	if !slices.Contains(wanted, configName) {
		return "", fmt.Errorf("model %s has no %s on the hub; is it a transformers checkpoint?",
			m.ID, configName)
	}
	fetch := func(names ...string) (string, error) { return m.fetch(ctx, repo, digests, began, names) }
	dir, err := fetch(configName)
	if err == nil {
		err = check(dir)
	}
	if err != nil {
		return "", err
	}
	m.Begin(fmt.Sprintf("fetching %d files of model %s from the hub", len(wanted), m.ID), m.fetched())
	return fetch(wanted...)
}

// withoutHub returns the cached model, or why there is none, after the hub could not be
// asked.
func (m Model) withoutHub(err error, cached string, cacheFault error) (string, error) {
	switch {
	case cacheFault == nil:
		m.Log.Warn("hub cannot be reached; the cached model is served", "model", m.ID, "folder",
			cached, "error", err)
		return cached, nil
	case errors.Is(cacheFault, errNotCached):
		return "", fmt.Errorf("model %s: %w", m.ID, err)
	default:
		return "", fmt.Errorf("model %s: %w; and the cache does not help: %w", m.ID, err, cacheFault)
	}
}

// repo is the model on the hub, as the library sees it. The library prints nothing:
// progress goes through Model.Begin.
func (m Model) repo() *huggingface.Repo {
	repo := huggingface.New(m.ID).WithRevision(m.Revision).WithCacheDir(m.cache()).
		WithProgressBar(false)
	repo.Verbosity = 0
	if token := os.Getenv("HF_TOKEN"); token != "" {
		repo = repo.WithAuth(token)
	}
	return repo
}

// fetch downloads the files that the cache lacks, checks those that have come since a
// time against their digests, and returns the folder of all of them.
func (m Model) fetch(ctx context.Context, repo *huggingface.Repo, digests map[string]string,
	since time.Time, names []string) (string, error) {
	paths, err := downloadAll(ctx, repo, names)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("model %s does not download: %w; try again, what is complete is kept",
			m.ID, err)
	}
	for i, path := range paths {
		if err := checkBlob(ctx, path, digests[names[i]], since); err != nil {
			return "", fmt.Errorf("model %s: %w", m.ID, err)
		}
	}
	return filepath.Dir(paths[0]), nil
}

// parallelDownloads is how many files are fetched at a time. It must stay below the
// library's own bound of 20: in version 0.4.3 its semaphore can lose a wakeup when it is
// full, and then waits for ever.
const parallelDownloads = 16

// downloadAll downloads files side by side and returns their paths in the cache. The
// first error ends the other downloads.
//
// The library could take all names in one call, but it then counts files on several
// goroutines without a lock. Calls on one Repo race as well, so each file gets a copy of
// it. modelFiles must have been called with repo: then the copies share its list of
// files, and need not fetch it anew.
func downloadAll(ctx context.Context, repo *huggingface.Repo, names []string) ([]string, error) {
	paths := make([]string, len(names))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(parallelDownloads)
	for i, name := range names {
		one := *repo
		all.Go(func() (err error) {
			paths[i], err = one.DownloadFileCtx(ctx, name)
			return err
		})
	}
	return paths, all.Wait()
}

// fetched returns a function that says how much has come since fetched was called, by
// the size of all files in the model's part of the cache.
func (m Model) fetched() func() string {
	blobs := filepath.Join(m.cache(), cacheFolder(m.ID), "blobs")
	size := func() (n int64) {
		entries, _ := os.ReadDir(blobs) // there may be none yet
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	before := size()
	return func() string {
		return fmt.Sprintf("fetched %.1f GB of model %s", float64(size()-before)/1e9, m.ID)
	}
}

const (
	configName  = "config.json"
	indexName   = "model.safetensors.index.json" // names the shards of a large model
	weightsName = "model.safetensors"            // of a model that has no shards
)

// modelFiles lists the files on the hub that a model is loaded from, in the commit that
// the revision has now. The library keeps the list of an earlier start in the cache, and
// asks for the current one only to make an address.
func modelFiles(repo *huggingface.Repo) (names []string, err error) {
	if _, err := repo.FileURL(configName); err != nil {
		return nil, err
	}
	for name, err := range repo.IterFileNames() {
		if err != nil {
			return nil, err
		}
		if isModelFile(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// isModelFile leaves out what other frameworks load, as in onnx/model.safetensors.
func isModelFile(name string) bool {
	switch name {
	case configName, "tokenizer.json", "tokenizer_config.json", indexName:
		return true
	}
	return strings.HasSuffix(name, ".safetensors") && !strings.Contains(name, "/")
}
