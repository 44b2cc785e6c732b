package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"scored/hub"
	"scored/model/checkpoint"
	"scored/score"
	"scored/tokenizer"
)

// Source is a model that has been found. Weights are open, and are read when an engine
// loads them.
type Source struct {
	Config    checkpoint.Config
	Weights   checkpoint.Source
	Generated bool   // the weights are made up, and scores mean nothing
	tokenizer string // path of tokenizer.json
}

// FindModel finds the model, fetching it if need be, and merges LoRA adapters into its
// weights; Close closes them. Adapters are read first: one that is wrong is known before
// anything is fetched. Flags that do not fit the model, and paths that cannot be what
// they are to be, are UsageErrors.
func (s *Start) FindModel(ctx context.Context) (*Source, error) {
	var adapters []*checkpoint.Adapter
	for _, dir := range s.options.LoRA {
		a, err := checkpoint.OpenAdapter(dir)
		if err != nil {
			return nil, UsageError{Err: fmt.Errorf("flag --lora: %w", err)}
		}
		adapters = append(adapters, a)
	}
	found, err := s.findBase(ctx)
	if err != nil {
		return nil, err
	}
	weights, err := checkpoint.Merge(found.Weights, found.Config, adapters...)
	if err != nil {
		err = UsageError{Err: fmt.Errorf("flag --lora: %w", err)}
		return nil, errors.Join(err, found.Weights.Close())
	}
	found.Weights = weights
	for _, a := range adapters {
		s.log.Info("LoRA adapter is merged into the weights", "folder", a.Folder(),
			"modules", a.Modules(), "parameters", a.Parameters())
	}
	s.opened.add("weights", weights.Close)
	return found, nil
}

// Shape reads the model's config.json alone. A model of the hub is fetched if need be;
// for generated weights without a folder it is the shape of Qwen3-0.6B.
func (s *Start) Shape(ctx context.Context) (checkpoint.Config, error) {
	if info, err := os.Stat(s.options.ModelPath); err == nil && info.IsDir() {
		return checkpoint.LoadConfig(s.options.ModelPath)
	}
	if s.options.LoadFormat == "dummy" {
		return checkpoint.Qwen3_0_6B(), nil
	}
	dir, err := s.download(ctx)
	if err != nil {
		return checkpoint.Config{}, err
	}
	s.progress.set(nil) // or the log would go on about the download
	return checkpoint.LoadConfig(dir)
}

// findBase finds the model of --model-path: in a local folder, else in a repository of
// the hub. The flags are held to the model's shape before its weights are opened or
// fetched.
func (s *Start) findBase(ctx context.Context) (*Source, error) {
	if s.options.LoadFormat == "dummy" {
		return s.generate()
	}
	dir := s.options.ModelPath
	if _, err := os.Stat(dir); err == nil {
		if err := checkpoint.CheckFormat(dir); err != nil {
			return nil, UsageError{Err: err}
		}
	} else if dir, err = s.download(ctx); err != nil {
		if !s.fallsBack(ctx, err) {
			return nil, err
		}
		s.log.Warn("model cannot be fetched from the hub; serving generated weights instead: "+
			"`make demo` serves a small trained model without the hub", "model", s.options.ModelPath,
			"error", err)
		return s.generate()
	}
	cfg, err := checkpoint.LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := s.check(cfg, s.log); err != nil {
		return nil, err
	}
	words, err := tokenizer.Find(s.options.tokenizerOr(dir))
	if err != nil {
		return nil, err
	}
	weights, err := checkpoint.Open(dir, cfg)
	if err != nil {
		return nil, err
	}
	if unused := weights.Unused(); len(unused) > 0 {
		s.log.Warn("checkpoint holds tensors that the model has no use for; is config.json another "+
			"checkpoint's?", "tensors", len(unused), "names", strings.Join(unused[:min(len(unused), 5)],
			" "))
	}
	return &Source{Config: cfg, Weights: weights, tokenizer: words}, nil
}

// download fetches the model from the hub and returns its folder. Its shape is checked
// before weights are fetched.
func (s *Start) download(ctx context.Context) (string, error) {
	o := s.options
	m := hub.Model{ID: o.ModelPath, Revision: o.Revision, Dir: o.DownloadDir, Offline: o.Offline,
		Log: s.log, Begin: s.progress.begin}
	dir, err := m.Download(ctx, s.checkFolder)
	if errors.Is(err, hub.ErrNoID) {
		err = UsageError{Err: err}
	}
	return dir, err
}

// fallsBack reports whether generated weights are served after this error: not if the
// start was stopped, or if the flags are wrong.
func (s *Start) fallsBack(ctx context.Context, err error) bool {
	var wrong UsageError
	return s.options.DummyFallback && ctx.Err() == nil && !errors.As(err, &wrong)
}

// generate returns a model with generated weights, which are repeatable and mean nothing.
// Its shape is that of the model folder or, if there is none, that of Qwen3-0.6B.
func (s *Start) generate() (*Source, error) {
	found := &Source{Config: checkpoint.Qwen3_0_6B(), Generated: true}
	words := s.options.tokenizerOr(s.options.DummyTokenizer)
	if info, err := os.Stat(s.options.ModelPath); err == nil && info.IsDir() {
		if found.Config, err = checkpoint.LoadConfig(s.options.ModelPath); err != nil {
			return nil, err
		}
		words = s.options.tokenizerOr(s.options.ModelPath)
	}
	if words == "" {
		return nil, UsageError{Err: errors.New("generated weights need a tokenizer; name its folder " +
			"with --tokenizer-path")}
	}
	err := s.check(found.Config, s.log)
	if err != nil {
		return nil, err
	}
	if found.tokenizer, err = tokenizer.Find(words); err != nil {
		return nil, err
	}
	found.Weights = checkpoint.Generate(found.Config, s.options.RandomSeed)
	s.log.Warn("WEIGHTS ARE GENERATED: scores are repeatable but mean nothing",
		"seed", s.options.RandomSeed, "parameters", found.Config.Parameters())
	return found, nil
}

// checkFolder is check for the model in a folder that holds no more than config.json yet.
func (s *Start) checkFolder(dir string) error {
	cfg, err := checkpoint.LoadConfig(dir)
	if err != nil {
		return err
	}
	return s.check(cfg, slog.New(slog.DiscardHandler)) // findBase warns once all is fetched
}

// check refuses flags that cannot work together, or with a model of this shape, with a
// UsageError. It warns of a context length with which long prompts may score badly.
func (s *Start) check(cfg checkpoint.Config, log *slog.Logger) error {
	if s.options.Template != "" && cfg.Classes != nil {
		return UsageError{Err: errors.New("flag --template is for scores of labels, but the model is a " +
			"classifier; leave it out and send whole texts")}
	}
	options, contextLength, err := s.Device.EngineOptions(cfg)
	if err != nil {
		return UsageError{Err: err}
	}
	if err := score.CheckBuckets(options.Buckets, contextLength); err != nil {
		return UsageError{Err: fmt.Errorf("flags --buckets and --context-length (the model's: %d) do "+
			"not fit: %w", cfg.MaxPositions, err)}
	}
	if contextLength > cfg.MaxPositions {
		log.Warn("--context-length is above what the model was made for; longer prompts may score badly",
			"context_length", contextLength, "max_position_embeddings", cfg.MaxPositions)
	}
	return nil
}
