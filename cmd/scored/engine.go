package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"

	"scored/model"
	"scored/pjrt"
	"scored/score"
	"scored/target"
)

// openPlugin finds the device's plugin, fetching it if need be, and opens it, with the Splicer that its programs
// go through. The plugin must be one of the device, and have as many as --dp-size says.
func (c *config) openPlugin(ctx context.Context, cfg model.Config, log *slog.Logger, progress io.Writer) (*pjrt.Plugin, *model.Splicer, error) {
	path, err := c.findPlugin(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	t := c.target()
	splicer := model.NewSplicer(cfg)
	options := pjrt.Options{CacheDir: c.CompileCache, Logger: log, Async: t.Async, Compile: t.Options, Folders: t.Folders, Rewrite: splicer.Rewrite}
	if t.Replicas != "" {
		options.Client = map[string]any{t.Replicas: int64(c.Replicas)}
	}
	plugin, err := pjrt.Open(path, options)
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkDevices(plugin); err != nil {
		return nil, nil, errors.Join(err, plugin.Close())
	}
	return plugin, splicer, c.setTarget(plugin.Info(), log)
}

func (c *config) findPlugin(ctx context.Context, progress io.Writer) (string, error) {
	return pjrt.Resolve(ctx, cmp.Or(c.Plugin, c.Device), c.fetchOptions(progress))
}

func (c *config) fetchOptions(progress io.Writer) pjrt.FetchOptions {
	return pjrt.FetchOptions{Folder: c.PluginDir, Offline: c.Offline, Progress: progress}
}

// loadEngines puts a replica of the model on each of the first --dp-size devices. A device on which kernels are wrong gets
// attention without them.
func (c *config) loadEngines(ctx context.Context, plugin *pjrt.Plugin, splicer *model.Splicer, found *source,
	log *slog.Logger, progress *progress, opened *closers) (engines []score.Engine, contextLength int, err error) {
	options, contextLength, err := c.engineOptions(found.config)
	if err == nil {
		err = c.checkDeviceMemory(found.config, options, log)
	}
	if err != nil {
		return nil, 0, err
	}
	options.Splicer = splicer
	c.price.warn(attentionOf(options), dtypeName(options.DType), log)
	if c.target().Kernels != target.NoKernels {
		c.logAttention(found.config, options, contextLength, log)
	}
	var loaded closers
	for options.Device = range c.Replicas {
		options.Progress = progress.engine(found.generated, options.Device, c.Replicas)
		engine, err := model.New(ctx, plugin.Backend(), found.config, found.weights, options)
		if errors.Is(err, model.ErrKernels) {
			log.Error("attention falls back to --attention-backend native, which is slower; please report this", "error", err)
			c.Attention = "native"
			if err := loaded.close(); err != nil {
				return nil, 0, err
			}
			return c.loadEngines(ctx, plugin, splicer, found, log, progress, opened)
		}
		if err != nil {
			return nil, 0, errors.Join(c.noMemory(found.config, options, err), loaded.close())
		}
		loaded.add("engine", engine.Close)
		engines = append(engines, engine)
	}
	if !options.Kernels.Any() {
		c.Attention = "native" // whatever was asked for: what /get_server_info shows is what runs
	}
	opened.add("engines", loaded.close)
	return engines, contextLength, nil
}

// logAttention says whether kernels attend, and why not if they were asked for.
func (c *config) logAttention(cfg model.Config, options model.Options, contextLength int, log *slog.Logger) {
	if options.Kernels.Any() || !c.wantsKernels() {
		log.Info("attention is chosen", "kernels", options.Kernels.Any())
		return
	}
	log.Warn("attention has no kernels for this, which is slower", "reason", c.withoutKernels(cfg, dtypeName(options.DType), contextLength))
}

func outOfMemory(err error) bool {
	code, ok := pjrt.CodeOf(err)
	return ok && code == pjrt.ResourceExhausted
}
