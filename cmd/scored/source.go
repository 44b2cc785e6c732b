package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

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
	if _, err := os.Stat(dir); err == nil {
		if err := model.CheckFormat(dir); err != nil {
			return nil, err
		}
	} else if dir, err = c.download(ctx, log); err != nil {
		if !c.DummyFallback {
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
	weights, err := model.Open(dir, cfg)
	if err != nil {
		return nil, err
	}
	if unused := weights.Unused(); len(unused) > 0 {
		log.Warn("checkpoint holds tensors that its model does not use", "tensors", len(unused), "first", unused[0])
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
