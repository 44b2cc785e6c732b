package app

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/score"
	"scored/target"
)

// Device is what engines on a device are like: its row of the table of targets, and
// what Options and a model make of it.
type Device struct {
	Target    target.Target // of the platform, until Find has seen the plugin's device
	Attention string        // that of the Options, or native once kernels have been given up

	options Options
	price   *Price         // nil: the target's own
	buckets []score.Bucket // nil: the target's ladder
}

// NewDevice returns the device that the Options name. Its kind is not known yet.
func NewDevice(o Options) (*Device, error) {
	t, ok := target.Find(o.Device, "")
	if !ok {
		return nil, fmt.Errorf("flag --device is %q; it must be cpu, tpu or cuda", o.Device)
	}
	price, err := readPrice(o.Price)
	if err != nil {
		return nil, err
	}
	buckets, err := o.ParseBuckets()
	if err != nil {
		return nil, err
	}
	return &Device{Target: t, Attention: o.Attention, options: o, price: price, buckets: buckets}, nil
}

// find takes the row of the opened plugin's device.
func (d *Device) find(info pjrt.Info) error {
	kind := ""
	if len(info.Devices) > 0 {
		kind = info.Devices[0]
	}
	t, ok := target.Find(info.Platform, kind)
	if !ok {
		return fmt.Errorf("platform %q of the plugin is not one of cpu, tpu and cuda", info.Platform)
	}
	d.Target = t
	d.options.Log.Info("device is found", "kind", kind, "target", t.Name)
	if d.price != nil && d.price.Device != kind {
		d.options.Log.Warn("price file is of another device; run scored calibrate on this one",
			"file", d.options.Price, "device", d.price.Device)
	}
	return nil
}

// EngineOptions chooses dtypes, attention and buckets for the device.
func (d *Device) EngineOptions(cfg checkpoint.Config) (options model.Options, contextLength int,
	err error) {
	contextLength = cmp.Or(d.options.ContextLength, cfg.MaxPositions)
	if contextLength > cfg.MaxPositions && !d.options.LongerContexts {
		return options, 0, fmt.Errorf("flag --context-length is %d, the model has %d positions and "+
			"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN is false", contextLength, cfg.MaxPositions)
	}
	t := d.Target
	weights := t.Weights
	switch d.options.DType {
	case "float32", "float":
		weights = target.Float32
	case "bfloat16":
		weights = target.BFloat16
	}
	options = model.Options{DType: dtypeOf(weights), Products: dtypeOf(t.ProductsOf(weights)),
		Scatter: t.HostLoops, Group: t.Group, OutOfMemory: outOfMemory, Lost: pjrt.Lost}
	attention := target.Native
	if d.wantsKernels() && d.withoutKernels(cfg, weights, contextLength) == nil {
		options.Kernels, attention = d.kernels(), target.Fused
	}
	options.Buckets, err = d.chooseBuckets(cfg, attention, weights, contextLength)
	options.PrefixCacheBytes = d.prefixCacheBytes(cfg, options)
	return options, contextLength, err
}

// AttentionOf names the attention of such an engine.
func AttentionOf(options model.Options) target.Attention {
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

// DTypeOf names a dtype of weights.
func DTypeOf(d dtypes.DType) target.DType {
	if d == dtypes.BFloat16 {
		return target.BFloat16
	}
	return target.Float32
}

// keepPages is how many pages of prefixes the flags allow: the cache may have more, as
// the longest prompt must fit.
func (d *Device) keepPages(cfg checkpoint.Config) int {
	options, _, err := d.EngineOptions(cfg)
	if err != nil {
		return 0 // check has refused it
	}
	return max(1, int(options.PrefixCacheBytes/model.MemoryOf(cfg, options).Page))
}

// chooseBuckets takes those of --buckets, or of the target's ladder within the bound of
// --chunked-prefill-size, and prices them. That bound must leave shapes for the longest
// prompts.
func (d *Device) chooseBuckets(cfg checkpoint.Config, attention target.Attention,
	weights target.DType, contextLength int) ([]score.Bucket, error) {
	t := d.Target
	buckets := slices.Clone(d.buckets)
	if buckets == nil {
		most := d.options.StepTokens
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
			return nil, fmt.Errorf("flags --chunked-prefill-size and --max-prefill-tokens allow steps of "+
				"%d tokens, too few for prompts up to --context-length %d; "+
				"raise them to %d, or lower it", most, contextLength, least)
		}
	}
	price := t.Price(attention, weights)
	if d.price.isOf(attention, weights) {
		price = d.price.Price
	}
	costs := model.Costs{Config: cfg, Attention: attention, Weights: weights}
	costs.Predict(buckets, t, price)
	return buckets, nil
}

func byContext(a, b score.Bucket) int { return cmp.Compare(a.Context, b.Context) }

// withoutKernels says why kernels cannot attend for the model and the flags; nil if
// they can.
func (d *Device) withoutKernels(cfg checkpoint.Config, weights target.DType,
	contextLength int) error {
	if weights != target.BFloat16 {
		return errors.New("kernels multiply bfloat16, --dtype is float32")
	}
	buckets, err := d.chooseBuckets(cfg, target.Fused, weights, contextLength)
	if err != nil {
		return nil // the flags are at fault, and whoever chooses says so
	}
	return d.kernels().Of(cfg).Fit(buckets)
}

// kernels are those there are for the device.
func (d *Device) kernels() model.Kernels {
	switch t := d.Target; t.Kernels {
	case target.MosaicKernels:
		return model.TPUKernels()
	case target.TritonKernels:
		return model.GPUKernels(t.SharedMemory)
	}
	return model.Kernels{}
}

func (d *Device) wantsKernels() bool {
	return d.kernels().Any() && strings.HasPrefix(d.Attention, "fa")
}
