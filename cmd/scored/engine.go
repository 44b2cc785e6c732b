package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/pjrt"
	"scored/score"
)

// openPlugin finds the device's plugin, fetching it if need be, and opens it; for a TPU or a GPU it makes the Splicer that
// its programs go through. The plugin must be one of the device, and have as many as --dp-size says.
func (c *config) openPlugin(ctx context.Context, cfg model.Config, log *slog.Logger, progress io.Writer) (*pjrt.Plugin, *model.Splicer, error) {
	path, err := c.findPlugin(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	// A step is one program a layer: an accelerator would stand idle between them.
	options := pjrt.Options{CacheDir: c.CompileCache, Logger: log, Async: c.Device != "cpu"}
	options.Compile = c.compileOptions()
	var splicer *model.Splicer
	if c.kernels().Any() {
		splicer = model.NewSplicer(cfg)
		options.Rewrite = splicer.Rewrite
	}
	if c.Device == "cpu" {
		options.Client = map[string]any{"cpu_device_count": int64(c.Replicas)}
	}
	plugin, err := pjrt.Open(path, options)
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkDevices(plugin); err != nil {
		return nil, nil, errors.Join(err, plugin.Close())
	}
	c.card = plugin.Info().Devices[0]
	return plugin, splicer, nil
}

// compileOptions are XLA's own, for the device. A GPU gets no command buffers, which are CUDA graphs: with them a
// device trace that ends under load loses the device, and on an H100 they brought no speed: 992 items/s with them, 1,019
// without.
func (c *config) compileOptions() map[string]string {
	if c.Device != "cuda" {
		return nil
	}
	return map[string]string{"xla_gpu_enable_command_buffer": ""}
}

func (c *config) findPlugin(ctx context.Context, progress io.Writer) (string, error) {
	return pjrt.Resolve(ctx, cmp.Or(c.Plugin, c.Device), c.fetchOptions(progress))
}

func (c *config) fetchOptions(progress io.Writer) pjrt.FetchOptions {
	return pjrt.FetchOptions{Folder: c.PluginDir, Offline: c.Offline, Progress: progress}
}

// engineOptions chooses dtypes and buckets for the device.
func (c *config) engineOptions(cfg model.Config) (options model.Options, contextLength int, err error) {
	contextLength = c.ContextLength
	if contextLength == 0 {
		contextLength = cfg.MaxPositions
	}
	if contextLength > cfg.MaxPositions && !c.variables.longerContexts {
		return options, 0, fmt.Errorf("flag --context-length is %d, the model has %d positions and SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN is false",
			contextLength, cfg.MaxPositions)
	}
	options = model.Options{DType: dtypes.BFloat16, OutOfMemory: outOfMemory, Lost: pjrt.Lost}
	if c.Device == "tpu" {
		options.HeadByHead = 1 << 20 // by the compiler's estimates: docs/performance-tpu.md
	}
	if c.Device == "cpu" {
		options.Products = dtypes.Float32 // as fast as bfloat16 there, and exact
	}
	switch c.DType {
	case "float32", "float":
		options.DType = dtypes.Float32
	case "auto":
		if c.Device == "cpu" {
			options.DType = dtypes.Float32
		}
	}
	options.PrefixCacheBytes = c.prefixCacheBytes(cfg, cmp.Or(options.Products, options.DType))
	if c.wantsKernels() {
		var without error
		if options.Buckets, without, err = c.kernelBuckets(cfg, options.DType, contextLength); err != nil || without == nil {
			options.Kernels = c.kernels()
			return options, contextLength, err
		}
	}
	choose, cost := cfg.Buckets, cfg.Cost
	if c.Device != "cpu" {
		choose, cost = cfg.WideBuckets, cfg.WideCost
	}
	options.Buckets, err = c.chooseBuckets(choose(contextLength), cost, contextLength)
	return options, contextLength, err
}

// prefixCacheBytes is the least of what the flags allow, for keys and values of the dtype.
func (c *config) prefixCacheBytes(cfg model.Config, dtype dtypes.DType) int64 {
	if c.MaxTotalTokens == 0 {
		return c.PrefixCacheBytes
	}
	perToken := 2 * cfg.Layers * cfg.KVHeads * cfg.HeadDim * dtype.Size()
	return min(c.PrefixCacheBytes, int64(c.MaxTotalTokens)*int64(perToken))
}

// chooseBuckets takes those of --buckets, or of all within the bound of --chunked-prefill-size. That bound must leave
// shapes for the longest prompts.
func (c *config) chooseBuckets(all []score.Bucket, cost func(score.Bucket) float64, contextLength int) ([]score.Bucket, error) {
	buckets, err := c.parseBuckets()
	if err != nil {
		return nil, err
	}
	if buckets == nil {
		most := c.MaxPrefill
		if c.ChunkedPrefill > 0 {
			most = min(most, c.ChunkedPrefill)
		}
		longest := slices.MaxFunc(all, byPrefix)
		buckets = slices.DeleteFunc(slices.Clone(all), func(b score.Bucket) bool { return b.Tokens > most })
		if len(buckets) == 0 || byPrefix(slices.MaxFunc(buckets, byPrefix), longest) < 0 {
			return nil, fmt.Errorf("flags --chunked-prefill-size and --max-prefill-tokens allow steps of %d tokens, too few for prompts up to --context-length %d; "+
				"raise them to 256, or lower it", most, contextLength)
		}
	}
	for i := range buckets {
		buckets[i].Cost = cost(buckets[i])
	}
	return buckets, nil
}

func byPrefix(a, b score.Bucket) int { return cmp.Compare(a.Prefix, b.Prefix) }

// loadEngines puts a replica of the model on each of the first --dp-size devices. A device on which kernels are wrong gets
// attention without them.
func (c *config) loadEngines(ctx context.Context, plugin *pjrt.Plugin, splicer *model.Splicer, found *source, log *slog.Logger, progress *progress, opened *closers) (engines []score.Engine, contextLength int, err error) {
	options, contextLength, err := c.engineOptions(found.config)
	if err != nil {
		return nil, 0, err
	}
	options.Splicer = splicer
	if c.kernels().Any() {
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
			return nil, 0, errors.Join(err, loaded.close())
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
	_, reason, _ := c.kernelBuckets(cfg, options.DType, contextLength) // engineOptions has seen that there is no error
	log.Warn("attention has no kernels for this, which is slower", "reason", reason)
}

// kernelBuckets are the step shapes for kernels, or why there are no kernels for the model in them.
func (c *config) kernelBuckets(cfg model.Config, dtype dtypes.DType, contextLength int) (buckets []score.Bucket, without, err error) {
	if dtype != dtypes.BFloat16 {
		return nil, errors.New("kernels multiply bfloat16, --dtype is float32"), nil
	}
	cost := cfg.KernelCost
	if c.Device == "cuda" {
		cost = cfg.GPUKernelCost
	}
	buckets, err = c.chooseBuckets(cfg.KernelBuckets(contextLength), cost, contextLength)
	return buckets, cfg.KernelsFit(c.kernels(), buckets), err
}

// kernels are those there are for the device.
func (c *config) kernels() model.Kernels {
	switch c.Device {
	case "tpu":
		return model.TPUKernels()
	case "cuda":
		return model.GPUKernels(c.card)
	}
	return model.Kernels{}
}

func (c *config) wantsKernels() bool {
	return c.kernels().Any() && strings.HasPrefix(c.Attention, "fa")
}

func outOfMemory(err error) bool {
	code, ok := pjrt.CodeOf(err)
	return ok && code == pjrt.ResourceExhausted
}
