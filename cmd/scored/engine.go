package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/dtypes"

	"scored/model"
	"scored/pjrt"
	"scored/score"
)

func (c *config) openPlugin(ctx context.Context, log *slog.Logger, progress io.Writer) (*pjrt.Plugin, error) {
	path, err := pjrt.Resolve(ctx, cmp.Or(c.Plugin, c.Device), c.fetchOptions(progress))
	if err != nil {
		return nil, err
	}
	// A step is one program a layer: an accelerator would stand idle between them.
	options := pjrt.Options{CacheDir: c.CompileCache, Logger: log, Async: c.Device != "cpu"}
	if c.Device == "cpu" {
		options.Client = map[string]any{"cpu_device_count": int64(c.Replicas)}
	}
	return pjrt.Open(path, options)
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
	options = model.Options{DType: dtypes.BFloat16, OutOfMemory: outOfMemory}
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
	options.Buckets, err = c.chooseBuckets(cfg, contextLength)
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

// chooseBuckets takes those of --buckets, or the model's within the bound of --chunked-prefill-size. That bound must leave
// shapes for the longest prompts.
func (c *config) chooseBuckets(cfg model.Config, contextLength int) ([]score.Bucket, error) {
	buckets, err := c.parseBuckets()
	if err != nil {
		return nil, err
	}
	choose, cost := cfg.Buckets, cfg.Cost
	if c.Device != "cpu" {
		choose, cost = cfg.WideBuckets, cfg.WideCost
	}
	if buckets == nil {
		most := c.MaxPrefill
		if c.ChunkedPrefill > 0 {
			most = min(most, c.ChunkedPrefill)
		}
		all := choose(contextLength)
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

// loadEngines puts a replica of the model on each of the first --dp-size devices.
func (c *config) loadEngines(plugin *pjrt.Plugin, found *source, options model.Options, opened *closers) (engines []score.Engine, err error) {
	if n := plugin.Backend().NumDevices(); n < c.Replicas {
		return nil, fmt.Errorf("flag --dp-size is %d, but the plugin has %d devices", c.Replicas, n)
	}
	for options.Device = range c.Replicas {
		engine, err := model.New(plugin.Backend(), found.config, found.weights, options)
		if err != nil {
			return nil, err
		}
		opened.add(engine.Close)
		engines = append(engines, engine)
	}
	return engines, nil
}

func outOfMemory(err error) bool {
	code, ok := pjrt.CodeOf(err)
	return ok && code == pjrt.ResourceExhausted
}
