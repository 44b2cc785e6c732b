package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"scored/internal/within"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/target"
)

// OpenPlugin finds the device's plugin, fetching it if need be, and opens it; Close
// closes it. All programs of the plugin go through the Splicer that is returned, which
// places kernels in them: engines must be given it. A plugin of another device, or with
// fewer devices than there are to be replicas, is a UsageError.
func (s *Start) OpenPlugin(ctx context.Context,
	cfg checkpoint.Config) (*pjrt.Plugin, *model.Splicer, error) {
	path, err := s.FindPlugin(ctx, s.options.Device)
	if err == nil {
		err = ctx.Err() // a plugin that is being opened can no longer be stopped
	}
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
	// A plugin may look for its device for minutes, and cannot be stopped. One that comes
	// too late is closed at once.
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

// FindPlugin returns the path of the plugin that the Options give or, where they give
// none, of the one with this name. What has a name is fetched if need be, so its fault is
// the network's; a fault of a path is a UsageError.
func (s *Start) FindPlugin(ctx context.Context, name string) (string, error) {
	given := s.options.Plugin
	path, err := wheel.Resolve(ctx, cmp.Or(given, name), s.FetchOptions())
	if err != nil && !slices.Contains([]string{"", "cpu", "cuda", "tpu"}, given) {
		err = UsageError{Err: err}
	}
	return path, err
}

// FetchOptions returns where plugins are kept, and whether they may be fetched.
func (s *Start) FetchOptions() wheel.Options {
	return wheel.Options{Folder: s.options.PluginDir, Offline: s.options.Offline,
		Progress: s.options.Progress}
}

// checkDevices refuses an opened plugin that the Options do not fit.
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

// loadEngines puts a replica of the model on each of the first devices. Where kernels
// give wrong numbers on one of them, all are loaded again with attention by formulas:
// replicas must agree, and a slow right answer is better than none. contextLength is how
// long a prompt may be, plus one token.
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
		if pjrt.Lost(err) { // what is loaded must stay open, see LostError
			return nil, 0, err
		}
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
		d.Attention = "native" // /get_server_info shows what runs, not what the flags ask for
	}
	s.opened.all = append(s.opened.all, loaded.all...)
	return engines, contextLength, nil
}

// logAttention tells the log whether kernels attend, and why they do not if the flags
// want them.
func (d *Device) logAttention(cfg checkpoint.Config, options model.Options, contextLength int) {
	if options.Kernels.Any() || !d.wantsKernels() {
		d.options.Log.Info("attention is chosen", "kernels", options.Kernels.Any())
		return
	}
	d.options.Log.Warn("attention has no kernels for this, which is slower",
		"reason", d.withoutKernels(cfg, DTypeOf(options.DType), contextLength))
}

// outOfMemory reports whether a plugin's error says that the device has no memory left.
func outOfMemory(err error) bool {
	code, ok := pjrt.CodeOf(err)
	return ok && code == pjrt.ResourceExhausted
}
