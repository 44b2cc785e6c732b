package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"scored/hub"
	"scored/model"
	"scored/score"
	"scored/tokenizer"
)

// source is a model found: its shape, its weights and where its tokenizer is.
type source struct {
	config    model.Config
	weights   model.Source
	tokenizer string // tokenizer.json
	generated bool   // the weights are made up, and scores mean nothing
}

// findBase resolves --model-path: a local folder, else a repository of the hub. The flags are held to the model's shape
// before its weights are opened or fetched.
func (c *config) findBase(ctx context.Context, log *slog.Logger, progress *progress) (*source, error) {
	if c.LoadFormat == "dummy" {
		return c.generate(log)
	}
	dir := c.ModelPath
	if _, err := os.Stat(dir); err == nil {
		if err := model.CheckFormat(dir); err != nil {
			return nil, err
		}
	} else if dir, err = c.download(ctx, log, progress, c.checkFolder); err != nil {
		if !c.fallsBack(ctx, err) {
			return nil, err
		}
		log.Warn("model cannot be fetched from the hub; serving generated weights instead: `make demo` serves a small trained model without the hub",
			"model", c.ModelPath, "error", err)
		return c.generate(log)
	}
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := c.check(cfg, log); err != nil {
		return nil, err
	}
	words, err := tokenizer.Find(c.tokenizerOr(dir))
	if err != nil {
		return nil, err
	}
	weights, err := model.Open(dir, cfg)
	if err != nil {
		return nil, err
	}
	if unused := weights.Unused(); len(unused) > 0 {
		log.Warn("checkpoint holds tensors that the model has no use for; is config.json another checkpoint's?", "tensors", len(unused),
			"names", strings.Join(unused[:min(len(unused), 5)], " "))
	}
	return &source{config: cfg, weights: weights, tokenizer: words}, nil
}

// download fetches the model from the hub.
func (c *config) download(ctx context.Context, log *slog.Logger, progress *progress, check func(dir string) error) (string, error) {
	m := hub.Model{ID: c.ModelPath, Revision: c.Revision, Dir: c.DownloadDir, Offline: c.Offline, Log: log, Begin: progress.begin}
	return m.Download(ctx, check)
}

// fallsBack tells whether generated weights are served after this error: not if the start was stopped, or if the flags
// are wrong.
func (c *config) fallsBack(ctx context.Context, err error) bool {
	var wrong usageError
	return c.DummyFallback && ctx.Err() == nil && !errors.As(err, &wrong)
}

// generate makes weights up for the shape of the model folder or, if there is none, of Qwen3-0.6B.
func (c *config) generate(log *slog.Logger) (*source, error) {
	s := &source{config: model.Qwen3_0_6B(), generated: true}
	words := c.tokenizerOr(c.DummyTokenizer)
	if info, err := os.Stat(c.ModelPath); err == nil && info.IsDir() {
		if s.config, err = model.LoadConfig(c.ModelPath); err != nil {
			return nil, err
		}
		words = c.tokenizerOr(c.ModelPath)
	}
	if words == "" {
		return nil, usageError{errors.New("generated weights need a tokenizer; name its folder with --tokenizer-path")}
	}
	err := c.check(s.config, log)
	if err != nil {
		return nil, err
	}
	if s.tokenizer, err = tokenizer.Find(words); err != nil {
		return nil, err
	}
	s.weights = model.Generate(s.config, c.RandomSeed)
	log.Warn("WEIGHTS ARE GENERATED: scores are repeatable but mean nothing", "seed", c.RandomSeed, "parameters", s.config.Parameters())
	return s, nil
}

// checkFolder is check of the shape in a folder that holds no more than config.json yet.
func (c *config) checkFolder(dir string) error {
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		return err
	}
	return c.check(cfg, slog.New(slog.DiscardHandler)) // the log is told once all is fetched
}

// check refuses flags that cannot work together, or with a model of this shape.
func (c *config) check(cfg model.Config, log *slog.Logger) error {
	if c.Template != "" && cfg.Classes != nil {
		return usageError{errors.New("flag --template is for scores of labels, but the model is a classifier; leave it out and send whole texts")}
	}
	options, contextLength, err := c.engineOptions(cfg)
	if err != nil {
		return usageError{err}
	}
	if err := score.CheckBuckets(options.Buckets, contextLength); err != nil {
		return usageError{fmt.Errorf("flags --buckets and --context-length (the model's: %d) do not fit: %w", cfg.MaxPositions, err)}
	}
	if contextLength > cfg.MaxPositions {
		log.Warn("--context-length is above what the model was made for; longer prompts may score badly", "context_length", contextLength,
			"max_position_embeddings", cfg.MaxPositions)
	}
	return nil
}

func (c *config) tokenizerOr(otherwise string) string {
	if c.TokenizerPath != "" {
		return c.TokenizerPath
	}
	return otherwise
}
