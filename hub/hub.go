// Package hub fetches models of the Hugging Face hub into the hub's own cache, in the
// layout that Python's huggingface_hub uses too, and finds them there again.
//
// It knows files, digests and HTTP. It must not know what is in a file: that is for
// model and tokenizer. Begin with Model.Download.
package hub

import (
	"cmp"
	"context"
	"crypto/sha1" // git names files by it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	huggingface "github.com/gomlx/go-huggingface/hub"

	"scored/internal/within"
)

// Model names a model of the hub, and where its files are kept.
type Model struct {
	ID       string // such as Qwen/Qwen3-0.6B
	Revision string // a branch, a tag or a commit
	Dir      string // the cache; "" is the hub's own
	Offline  bool   // the cache alone is asked

	Log *slog.Logger
	// Begin is told when the download of the weights begins; doing tells from then on
	// how far it is. Another goroutine may call doing.
	Begin func(what string, doing func() string)
}

// Download gives the folder of the model. Its files are fetched into the cache; where
// the hub is out of reach, what the cache holds will do. HF_ENDPOINT, HF_TOKEN,
// HF_HUB_CACHE and HF_HOME are honoured. check is asked about the folder once
// config.json is there, before anything large is fetched; its error ends the download
// as it is.
func (m Model) Download(ctx context.Context, check func(dir string) error) (string, error) {
	if strings.Count(m.ID, "/") != 1 || strings.HasPrefix(m.ID, ".") || strings.HasPrefix(m.ID, "/") {
		return "", fmt.Errorf("model path %q is neither a folder nor a hub id such as "+
			"Qwen/Qwen3-0.6B", m.ID)
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
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", ctx.Err()
	case cacheFault == nil:
		m.Log.Warn("hub cannot be reached; the cached model is served", "model", m.ID, "folder",
			cached, "error", err)
		return cached, nil
	case errors.Is(cacheFault, errNotCached):
		return "", fmt.Errorf("model %s: %w", m.ID, err)
	default:
		return "", fmt.Errorf("model %s: %w; and the cache does not help: %w", m.ID, err, cacheFault)
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

// repo is the model at the hub. Its library is silent: progress tells how far it is.
func (m Model) repo() *huggingface.Repo {
	repo := huggingface.New(m.ID).WithRevision(m.Revision).WithCacheDir(m.cache()).
		WithProgressBar(false)
	repo.Verbosity = 0
	if token := os.Getenv("HF_TOKEN"); token != "" {
		repo = repo.WithAuth(token)
	}
	return repo
}

// fetch gives the folder of the files once they are there and agree with their digests.
func (m Model) fetch(ctx context.Context, repo *huggingface.Repo, digests map[string]string,
	since time.Time, names []string) (string, error) {
	paths, err := repo.DownloadFilesCtx(ctx, names...)
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

// fetched says how much has come since it was made.
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

const configName = "config.json"

func modelFiles(repo *huggingface.Repo) (names []string, err error) {
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

func isModelFile(name string) bool {
	switch name {
	case configName, "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json":
		return true
	}
	return strings.HasSuffix(name, ".safetensors") && !strings.Contains(name, "/")
}

// digests asks the hub for the model's files and gives each one's digest by name:
// sha256 of large files, git's of small ones. As the first question asked, it reports a
// missing network, model or token at once and not after retries.
func (m Model) digests(ctx context.Context) (map[string]string, error) {
	endpoint := strings.TrimSuffix(cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/")
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		endpoint+"/api/models/"+m.ID+"/revision/"+m.Revision+"?blobs=true", nil)
	if err != nil {
		return nil, err
	}
	if token := os.Getenv("HF_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("hub cannot be reached: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return readDigests(response.Body)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return nil, fmt.Errorf("hub has no such model or revision %s for this user (status %d); "+
			"check the name, or set HF_TOKEN", m.Revision, response.StatusCode)
	default:
		return nil, fmt.Errorf("hub answers with status %d; try again later", response.StatusCode)
	}
}

// readDigests reads the hub's description of a model. A mirror may list files without
// their digests.
func readDigests(body io.Reader) (map[string]string, error) {
	var info struct {
		Siblings []struct {
			Name   string `json:"rfilename"`
			BlobID string `json:"blobId"` // of the pointer, if the file is a large one
			LFS    struct{ SHA256 string }
		}
	}
	const most = 64 << 20
	if err := json.NewDecoder(io.LimitReader(body, most)).Decode(&info); err != nil {
		return nil, fmt.Errorf("hub's list of files is not whole: %w; try again", err)
	}
	digests := map[string]string{}
	for _, file := range info.Siblings {
		digests[file.Name] = cmp.Or(file.LFS.SHA256, file.BlobID)
	}
	return digests, nil
}

// checkBlob compares a file fetched since then with its digest or, where the hub gave
// none, with the one it is named by in the cache. A file that differs is removed. Where
// a body ends early the library reports no error, and leaves no file.
func checkBlob(ctx context.Context, path, want string, since time.Time) (err error) {
	blob, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file %s did not arrive whole; try again", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(blob)
	if err != nil || info.ModTime().Before(since) {
		return err
	}
	want = cmp.Or(want, filepath.Base(blob))
	digest := sha256.New()
	switch len(want) {
	case sha256.Size * 2:
	case sha1.Size * 2:
		digest = sha1.New()
		fmt.Fprintf(digest, "blob %d\x00", info.Size())
	default:
		return nil
	}
	f, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(digest, untilReader{ctx, f}); err != nil {
		return err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want {
		return errors.Join(fmt.Errorf("file %s does not match the hub's digest %s; it has been "+
			"removed, try again", filepath.Base(path), want),
			os.Remove(blob), os.Remove(path))
	}
	return nil
}

// untilReader reads until its context ends.
type untilReader struct {
	ctx context.Context
	io.Reader
}

func (r untilReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
