package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/go-huggingface/hub"

	"scored/model"
)

// source is a model found: its shape, its weights and where its tokenizer is.
type source struct {
	config    model.Config
	weights   model.Source
	tokenizer string // folder or file
	generated bool   // the weights are made up, and scores mean nothing
}

// findModel resolves --model-path: a local folder, else a repository of the hub.
func (c *config) findModel(ctx context.Context, log *slog.Logger) (*source, error) {
	if c.LoadFormat == "dummy" {
		return c.generate(log)
	}
	dir := c.ModelPath
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if dir, err = c.download(ctx, log); err != nil {
			if !c.DummyFallback {
				return nil, err
			}
			log.Warn("model cannot be fetched from the hub; serving generated weights instead", "model", c.ModelPath, "error", err)
			return c.generate(log)
		}
	}
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	weights, err := model.Open(dir, cfg)
	if err != nil {
		return nil, err
	}
	return &source{config: cfg, weights: weights, tokenizer: c.tokenizerOr(dir)}, nil
}

// generate makes weights up for the shape of the model folder or, if there is none, of Qwen3-0.6B.
func (c *config) generate(log *slog.Logger) (*source, error) {
	s := &source{config: model.Qwen3_0_6B(), tokenizer: c.tokenizerOr(c.DummyTokenizer), generated: true}
	if info, err := os.Stat(c.ModelPath); err == nil && info.IsDir() {
		if s.config, err = model.LoadConfig(c.ModelPath); err != nil {
			return nil, err
		}
		s.tokenizer = c.tokenizerOr(c.ModelPath)
	}
	if s.tokenizer == "" {
		return nil, errors.New("generated weights need a tokenizer; name its folder with --tokenizer-path")
	}
	s.weights = model.Generate(s.config, c.RandomSeed)
	log.Warn("WEIGHTS ARE GENERATED: scores are repeatable but mean nothing", "seed", c.RandomSeed, "parameters", s.config.Parameters())
	return s, nil
}

func (c *config) tokenizerOr(otherwise string) string {
	if c.TokenizerPath != "" {
		return c.TokenizerPath
	}
	return otherwise
}

// download fetches the model's files from the hub into its cache, where they are found the next time, and returns their
// folder. HF_ENDPOINT, HF_TOKEN and HF_HOME are honoured.
func (c *config) download(ctx context.Context, log *slog.Logger) (string, error) {
	if strings.Count(c.ModelPath, "/") != 1 || strings.HasPrefix(c.ModelPath, ".") || strings.HasPrefix(c.ModelPath, "/") {
		return "", fmt.Errorf("model path %q is neither a folder nor a hub id such as Qwen/Qwen3-0.6B", c.ModelPath)
	}
	if c.Offline {
		return "", fmt.Errorf("model %s is not a folder and --offline is set; download it where there is a network", c.ModelPath)
	}
	repo := hub.New(c.ModelPath).WithRevision(c.Revision).WithProgressBar(true)
	if token := os.Getenv("HF_TOKEN"); token != "" {
		repo = repo.WithAuth(token)
	}
	if c.DownloadDir != "" {
		repo = repo.WithCacheDir(c.DownloadDir)
	}
	if err := reachable(ctx, repo); err != nil {
		return "", fmt.Errorf("model %s: hub cannot be reached: %w", c.ModelPath, err)
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
		return "", fmt.Errorf("model %s does not download: %w", c.ModelPath, err)
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

// reachable asks the hub for one small file, so that a missing network is reported at once and not after retries.
func reachable(ctx context.Context, repo *hub.Repo) error {
	url, err := repo.FileURL("config.json")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
