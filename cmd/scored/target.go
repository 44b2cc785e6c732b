package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/pjrt"
	"scored/score"
	"scored/target"
)

// target is the row of the device: that of the plugin's device once it is open, before that the platform's.
func (c *config) target() target.Target {
	if c.found != nil {
		return *c.found
	}
	t, _ := target.Find(c.Device, "") // the flag has been checked
	return t
}

// setTarget finds the row of the opened plugin's device.
func (c *config) setTarget(info pjrt.Info, log *slog.Logger) error {
	kind := ""
	if len(info.Devices) > 0 {
		kind = info.Devices[0]
	}
	t, ok := target.Find(info.Platform, kind)
	if !ok {
		return fmt.Errorf("platform %q of the plugin is not one of cpu, tpu and cuda", info.Platform)
	}
	c.found = &t
	log.Info("device is found", "kind", kind, "target", t.Name)
	if c.price != nil && c.price.Device != kind {
		log.Warn("price file is of another device; run scored calibrate on this one", "file", c.Price, "device", c.price.Device)
	}
	return nil
}

// priceFile is what `scored calibrate` writes and --price reads.
type priceFile struct {
	Device    string           `json:"device"` // kind
	Attention target.Attention `json:"attention"`
	DType     target.DType     `json:"dtype"`
	Price     target.Price     `json:"price"`
}

// isOf tells whether the price is of steps with this attention and dtype; no price is of none.
func (p *priceFile) isOf(attention target.Attention, dtype target.DType) bool {
	return p != nil && p.Attention == attention && p.DType == dtype
}

// warn says why the price is not used for such steps, where there is one.
func (p *priceFile) warn(attention target.Attention, dtype target.DType, log *slog.Logger) {
	if p != nil && !p.isOf(attention, dtype) {
		log.Warn("price file is of other steps and is not used; run scored calibrate with the flags of this start",
			"attention", p.Attention, "dtype", p.DType, "wanted_attention", attention, "wanted_dtype", dtype)
	}
}

// readPrice reads the file of --price.
func (c *config) readPrice() error {
	if c.Price == "" {
		return nil
	}
	data, err := os.ReadFile(c.Price)
	if err != nil {
		return fmt.Errorf("flag --price: %w", err)
	}
	p := &priceFile{}
	if err := json.Unmarshal(data, p); err != nil {
		return fmt.Errorf("flag --price: file %s is not one that scored calibrate writes: %w", c.Price, err)
	}
	if !p.Price.Valid() {
		return fmt.Errorf("flag --price: file %s holds a price that rates no step; run scored calibrate again", c.Price)
	}
	c.price = p
	return nil
}

// engineOptions chooses dtypes, attention and buckets for the device.
func (c *config) engineOptions(cfg model.Config) (options model.Options, contextLength int, err error) {
	contextLength = cmp.Or(c.ContextLength, cfg.MaxPositions)
	if contextLength > cfg.MaxPositions && !c.variables.LongerContexts {
		return options, 0, fmt.Errorf("flag --context-length is %d, the model has %d positions and SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN is false",
			contextLength, cfg.MaxPositions)
	}
	t := c.target()
	weights := t.Weights
	switch c.DType {
	case "float32", "float":
		weights = target.Float32
	case "bfloat16":
		weights = target.BFloat16
	}
	options = model.Options{DType: dtypeOf(weights), Products: dtypeOf(t.ProductsOf(weights)), Scatter: t.HostLoops, Group: t.Group, OutOfMemory: outOfMemory, Lost: pjrt.Lost}
	attention := target.Native
	if c.wantsKernels() && c.withoutKernels(cfg, weights, contextLength) == nil {
		options.Kernels, attention = c.kernels(), target.Fused
	}
	options.Buckets, err = c.chooseBuckets(cfg, attention, weights, contextLength)
	options.PrefixCacheBytes = c.prefixCacheBytes(cfg, options)
	return options, contextLength, err
}

func attentionOf(options model.Options) target.Attention {
	if options.Kernels.Any() {
		return target.Fused
	}
	return target.Native
}

func dtypeOf(d target.DType) dtypes.DType {
	if d == target.BFloat16 {
		return dtypes.BFloat16
	}
	return dtypes.Float32
}

func dtypeName(d dtypes.DType) target.DType {
	if d == dtypes.BFloat16 {
		return target.BFloat16
	}
	return target.Float32
}

// keepPages is how many pages of prefixes the flags allow: the cache may have more, as the longest prompt must fit.
func (c *config) keepPages(cfg model.Config) int {
	options, _, err := c.engineOptions(cfg)
	if err != nil {
		return 0 // check has refused it
	}
	return max(1, int(options.PrefixCacheBytes/cfg.PageBytes(options.Products)))
}

// chooseBuckets takes those of --buckets, or of the target's ladder within the bound of --chunked-prefill-size, and prices
// them. That bound must leave shapes for the longest prompts.
func (c *config) chooseBuckets(cfg model.Config, attention target.Attention, weights target.DType, contextLength int) ([]score.Bucket, error) {
	t := c.target()
	buckets, err := c.parseBuckets()
	if err != nil {
		return nil, err
	}
	if buckets == nil {
		most := c.mostTokens()
		buckets = t.Ladders[attention](contextLength)
		longest := slices.MaxFunc(buckets, byContext)
		least := longest.Tokens
		for _, b := range buckets {
			if byContext(b, longest) == 0 {
				least = min(least, b.Tokens)
			}
		}
		buckets = slices.DeleteFunc(buckets, func(b score.Bucket) bool { return b.Tokens > most })
		if len(buckets) == 0 || byContext(slices.MaxFunc(buckets, byContext), longest) < 0 {
			return nil, fmt.Errorf("flags --chunked-prefill-size and --max-prefill-tokens allow steps of %d tokens, too few for prompts up to --context-length %d; "+
				"raise them to %d, or lower it", most, contextLength, least)
		}
	}
	price := t.Price(attention, weights)
	if c.price.isOf(attention, weights) {
		price = c.price.Price
	}
	cfg.Predict(buckets, t, price, attention, weights)
	return buckets, nil
}

// mostTokens bounds the tokens of a step: by --chunked-prefill-size only where that is given, as its default is sglang-jax's,
// and a device's row knows which steps suit it.
func (c *config) mostTokens() int {
	given := false
	c.set.Visit(func(f *flag.Flag) { given = given || f.Name == "chunked-prefill-size" })
	if given && c.ChunkedPrefill > 0 {
		return min(c.MaxPrefill, c.ChunkedPrefill)
	}
	return c.MaxPrefill
}

func byContext(a, b score.Bucket) int { return cmp.Compare(a.Context, b.Context) }

// withoutKernels says why kernels cannot attend for the model and the flags; nil if they can.
func (c *config) withoutKernels(cfg model.Config, weights target.DType, contextLength int) error {
	if weights != target.BFloat16 {
		return errors.New("kernels multiply bfloat16, --dtype is float32")
	}
	buckets, err := c.chooseBuckets(cfg, target.Fused, weights, contextLength)
	if err != nil {
		return nil // the flags are at fault, and whoever chooses says so
	}
	return cfg.KernelsFit(c.kernels(), buckets)
}

// kernels are those there are for the device.
func (c *config) kernels() model.Kernels {
	switch t := c.target(); t.Kernels {
	case target.MosaicKernels:
		return model.TPUKernels()
	case target.TritonKernels:
		return model.GPUKernels(t.SharedMemory)
	}
	return model.Kernels{}
}

func (c *config) wantsKernels() bool {
	return c.kernels().Any() && strings.HasPrefix(c.Attention, "fa")
}
