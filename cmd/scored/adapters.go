package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"scored/model"
)

// findModel finds the model and merges the adapters of --lora into its weights. They are read first: one that is wrong is known
// before anything is fetched.
func (c *config) findModel(ctx context.Context, log *slog.Logger, progress *progress) (*source, error) {
	var adapters []*model.Adapter
	for _, dir := range c.LoRA {
		a, err := model.OpenAdapter(dir)
		if err != nil {
			return nil, fmt.Errorf("flag --lora: %w", err)
		}
		adapters = append(adapters, a)
	}
	found, err := c.findBase(ctx, log, progress)
	if err != nil {
		return nil, err
	}
	weights, err := model.Merge(found.weights, found.config, adapters...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flag --lora: %w", err), found.weights.Close())
	}
	found.weights = weights
	for _, a := range adapters {
		log.Info("LoRA adapter is merged into the weights", "folder", a.Folder(), "modules", a.Modules(), "parameters", a.Parameters())
	}
	return found, nil
}

// folders is a flag that may be given several times, each time with a folder or several with commas between them.
type folders []string

func (f *folders) String() string { return strings.Join(*f, ",") }

func (f *folders) Set(text string) error {
	for dir := range strings.SplitSeq(text, ",") {
		if dir == "" {
			return errors.New("it must be a folder, or several with commas between them")
		}
		*f = append(*f, dir)
	}
	return nil
}
