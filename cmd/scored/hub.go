package main

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
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/go-huggingface/hub"
)

// download gives the folder of a model of the Hugging Face hub. Its files are fetched into the hub's cache, in the layout
// that Python's huggingface_hub uses too; where the hub is out of reach, what the cache holds will do. HF_ENDPOINT,
// HF_TOKEN, HF_HUB_CACHE and HF_HOME are honoured.
func (c *config) download(ctx context.Context, log *slog.Logger) (string, error) {
	if strings.Count(c.ModelPath, "/") != 1 || strings.HasPrefix(c.ModelPath, ".") || strings.HasPrefix(c.ModelPath, "/") {
		return "", fmt.Errorf("model path %q is neither a folder nor a hub id such as Qwen/Qwen3-0.6B", c.ModelPath)
	}
	cached, found := cachedSnapshot(c.hubCache(), c.ModelPath, c.Revision)
	if c.Offline {
		if found {
			return cached, nil
		}
		return "", fmt.Errorf("model %s is neither a folder nor in the cache %s, and --offline is set; download it where there is a network", c.ModelPath, c.hubCache())
	}
	began := time.Now()
	digests, err := c.digests(ctx)
	if err != nil {
		if found {
			log.Warn("hub cannot be reached; the cached model is served", "model", c.ModelPath, "folder", cached, "error", err)
			return cached, nil
		}
		return "", fmt.Errorf("model %s: %w", c.ModelPath, err)
	}
	repo := hub.New(c.ModelPath).WithRevision(c.Revision).WithCacheDir(c.hubCache()).WithProgressBar(true)
	if token := os.Getenv("HF_TOKEN"); token != "" {
		repo = repo.WithAuth(token)
	}
	var wanted []string
	for name, err := range repo.IterFileNames() {
		if err != nil {
			return "", fmt.Errorf("model %s: files cannot be listed on the hub: %w", c.ModelPath, err)
		}
		if isModelFile(name) {
			wanted = append(wanted, name)
		}
	}
	if !slices.Contains(wanted, "config.json") {
		return "", fmt.Errorf("model %s has no config.json on the hub; is it a transformers checkpoint?", c.ModelPath)
	}
	log.Info("fetching model from the hub", "model", c.ModelPath, "files", len(wanted))
	paths, err := repo.DownloadFiles(wanted...)
	if err != nil {
		return "", fmt.Errorf("model %s does not download: %w; try again, what is complete is kept", c.ModelPath, err)
	}
	for i, path := range paths {
		if err := checkBlob(path, digests[wanted[i]], began); err != nil {
			return "", fmt.Errorf("model %s: %w", c.ModelPath, err)
		}
	}
	return filepath.Dir(paths[slices.Index(wanted, "config.json")]), nil
}

func isModelFile(name string) bool {
	switch name {
	case "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json":
		return true
	}
	return strings.HasSuffix(name, ".safetensors") && !strings.Contains(name, "/")
}

// hubCache is where the hub's files are kept.
func (c *config) hubCache() string {
	if home := os.Getenv("HF_HOME"); home != "" {
		return cmp.Or(c.DownloadDir, os.Getenv("HF_HUB_CACHE"), filepath.Join(home, "hub"))
	}
	return cmp.Or(c.DownloadDir, os.Getenv("HF_HUB_CACHE"), hub.DefaultCacheDir())
}

// cachedSnapshot finds a model's folder in the cache: whole, with all the shards that its index names.
func cachedSnapshot(cache, model, revision string) (string, bool) {
	repo := filepath.Join(cache, "models--"+strings.ReplaceAll(model, "/", "--"))
	commit := revision
	if data, err := os.ReadFile(filepath.Join(repo, "refs", revision)); err == nil { // Python's huggingface_hub
		commit = strings.TrimSpace(string(data))
	}
	var info struct{ SHA string }
	if data, err := os.ReadFile(filepath.Join(repo, "info", revision)); err == nil && json.Unmarshal(data, &info) == nil { // go-huggingface
		commit = cmp.Or(info.SHA, commit)
	}
	dir := filepath.Join(repo, "snapshots", commit)
	needed := []string{"config.json", "model.safetensors"}
	if data, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json")); err == nil {
		var index struct {
			Files map[string]string `json:"weight_map"`
		}
		if json.Unmarshal(data, &index) != nil {
			return "", false
		}
		needed = needed[:1]
		for _, file := range index.Files {
			needed = append(needed, file)
		}
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", false
		}
	}
	return dir, true
}

// digests asks the hub for the model's files and gives each one's digest by name: sha256 of large files, git's of small
// ones. As the first question asked, it reports a missing network, model or token at once and not after retries.
func (c *config) digests(ctx context.Context) (map[string]string, error) {
	endpoint := strings.TrimSuffix(cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/")
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/api/models/"+c.ModelPath+"/revision/"+c.Revision+"?blobs=true", nil)
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
		return nil, fmt.Errorf("hub has no such model or revision %s for this user (status %d); check the name, or set HF_TOKEN", c.Revision, response.StatusCode)
	default:
		return nil, fmt.Errorf("hub answers with status %d; try again later", response.StatusCode)
	}
}

// readDigests reads the hub's description of a model. A mirror may list files without their digests.
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

// checkBlob compares a file fetched since then with its digest or, where the hub gave none, with the one it is named by in
// the cache. The library takes a body that ends early for the whole. A file that differs is removed.
func checkBlob(path, want string, since time.Time) (err error) {
	blob, err := filepath.EvalSymlinks(path)
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
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want {
		return errors.Join(fmt.Errorf("file %s does not match the hub's digest %s; it has been removed, try again", filepath.Base(path), want),
			os.Remove(blob), os.Remove(path))
	}
	return nil
}
