package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"scored/internal/within"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/target"
)

// OpenPlugin finds the device's plugin, fetching it if need be, and opens it, with the
// Splicer that its programs go through; Close closes it. The plugin must be one of the
// device, and have as many as there are to be replicas.
func (s *Start) OpenPlugin(ctx context.Context,
	cfg checkpoint.Config) (*pjrt.Plugin, *model.Splicer, error) {
	path, err := s.findPlugin(ctx)
	if err != nil {
		return nil, nil, err
	}
	t := s.Device.Target
	splicer := model.NewSplicer(cfg)
	options := pjrt.Options{CacheDir: s.options.CompileCache, Logger: s.log, Async: t.Async,
		Compile: t.Options, Folders: t.Folders, Rewrite: splicer.Rewrite}
	if t.Replicas != "" {
		options.Client = map[string]any{t.Replicas: int64(s.options.Replicas)}
	}
	// A plugin may look for its device for minutes, and cannot be told to stop.
	plugin, err := within.Context(ctx,
		func() (*pjrt.Plugin, error) { return pjrt.Open(path, options) },
		func(late *pjrt.Plugin) { late.Close() })
	if err != nil {
		return nil, nil, err
	}
	s.opened.add("plugin", plugin.Close)
	if err := s.checkDevices(plugin); err != nil {
		return nil, nil, err
	}
	return plugin, splicer, s.Device.find(plugin.Info())
}

func (s *Start) findPlugin(ctx context.Context) (string, error) {
	return wheel.Resolve(ctx, cmp.Or(s.options.Plugin, s.options.Device), s.FetchOptions())
}

// FetchOptions are those of the Options that concern plugins.
func (s *Start) FetchOptions() wheel.Options {
	return wheel.Options{Folder: s.options.PluginDir, Offline: s.options.Offline,
		Progress: s.options.Progress}
}

// checkDevices holds an opened plugin to the Options.
func (s *Start) checkDevices(plugin *pjrt.Plugin) error {
	info := plugin.Info()
	if info.Platform != s.options.Device {
		return UsageError{Err: fmt.Errorf("flag --device is %s, but the plugin %s is for %s; leave "+
			"--plugin out, or set --device", s.options.Device, info.Path, info.Platform)}
	}
	if n := plugin.Backend().NumDevices(); n < s.options.Replicas {
		return UsageError{Err: fmt.Errorf("flag --dp-size is %d, but the plugin has %d devices",
			s.options.Replicas, n)}
	}
	return nil
}

// loadEngines puts a replica of the model on each of the first devices. One on which
// kernels are wrong gets attention without them, and so do all.
func (s *Start) loadEngines(ctx context.Context, plugin *pjrt.Plugin, splicer *model.Splicer,
	found *Source) (engines []score.Engine, contextLength int, err error) {
	d := s.Device
	options, contextLength, err := d.EngineOptions(found.Config)
	if err == nil {
		err = d.checkMemory(found.Config, options, s.log)
	}
	if err != nil {
		return nil, 0, err
	}
	options.Splicer = splicer
	d.price.warn(AttentionOf(options), DTypeOf(options.DType), s.log)
	if d.Target.Kernels != target.NoKernels {
		d.logAttention(found.Config, options, contextLength)
	}
	var loaded cleanups
	for replica := range s.options.Replicas {
		options.Device, options.Progress = replica, s.progress.engine(found.Generated, replica,
			s.options.Replicas)
		engine, err := model.New(ctx, plugin.Backend(), found.Config, found.Weights, options)
		if errors.Is(err, model.ErrKernels) {
			s.log.Error("attention falls back to --attention-backend native, which is slower; please "+
				"report this", "error", err)
			d.Attention = "native"
			if err := loaded.run(s.log); err != nil {
				return nil, 0, err
			}
			return s.loadEngines(ctx, plugin, splicer, found)
		}
		if err != nil {
			return nil, 0, errors.Join(d.NoMemory(found.Config, options, err), loaded.run(s.log))
		}
		loaded.add("engine", engine.Close)
		engines = append(engines, engine)
	}
	if !options.Kernels.Any() {
		d.Attention = "native" // whatever was asked for: what /get_server_info shows is what runs
	}
	s.opened.all = append(s.opened.all, loaded.all...)
	return engines, contextLength, nil
}

// logAttention says whether kernels attend, and why not if they were asked for.
func (d *Device) logAttention(cfg checkpoint.Config, options model.Options, contextLength int) {
	if options.Kernels.Any() || !d.wantsKernels() {
		d.options.Log.Info("attention is chosen", "kernels", options.Kernels.Any())
		return
	}
	d.options.Log.Warn("attention has no kernels for this, which is slower",
		"reason", d.withoutKernels(cfg, DTypeOf(options.DType), contextLength))
}

func outOfMemory(err error) bool {
	code, ok := pjrt.CodeOf(err)
	return ok && code == pjrt.ResourceExhausted
}
