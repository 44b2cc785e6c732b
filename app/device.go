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

// Device says what engines on a device are like: its row of the table of targets, and
// what the Options and a model make of it. It holds nothing open.
type Device struct {
	Target    target.Target // the platform's general row, until the plugin's device is known
	Attention string        // that of the Options, or native once kernels have been given up

	options Options
	price   *Price         // nil: the target's own
	buckets []score.Bucket // nil: the target's ladder
}

// NewDevice returns the device that the Options name. Its kind is not known yet: the
// Target is the platform's general row.
func NewDevice(c *Checked) *Device {
	t, _ := target.Find(c.options.Device, "") // Check lets platforms of the table pass alone
	return &Device{Target: t, Attention: c.options.Attention, options: c.options, price: c.price,
		buckets: c.buckets}
}

// find sets Target to the row of the opened plugin's device, and warns of a price that is
// another device's. That price is used all the same, as --price asks for it.
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

// EngineOptions chooses dtypes, attention, buckets and the KV cache's size for the device
// and a model of this shape. contextLength is how long a prompt may be, plus one token.
// Device, Splicer and Progress are for the caller to set. An error is the flags' fault.
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

// AttentionOf names the attention of an engine with these options.
func AttentionOf(options model.Options) target.Attention {
	if options.Kernels.Any() {
		return target.Fused
	}
	return target.Native
}

// dtypeOf is the inverse of DTypeOf.
func dtypeOf(d target.DType) dtypes.DType {
	if d == target.BFloat16 {
		return dtypes.BFloat16
	}
	return dtypes.Float32
}

// DTypeOf returns a dtype of weights in the table of targets' terms. There are two.
func DTypeOf(d dtypes.DType) target.DType {
	if d == dtypes.BFloat16 {
		return target.BFloat16
	}
	return target.Float32
}

// keepPages returns how many pages of prefixes the flags allow to be kept, at least one.
// The cache may have more pages, as the longest prompt must fit.
func (d *Device) keepPages(cfg checkpoint.Config) int {
	options, _, err := d.EngineOptions(cfg)
	if err != nil {
		return 0 // Start.check has refused it
	}
	return max(1, int(options.PrefixCacheBytes/model.MemoryOf(cfg, options).Page))
}

// chooseBuckets returns the buckets of --buckets, or those of the target's ladder that
// have at most --chunked-prefill-size tokens, with their prices. That bound must leave
// buckets with the longest context, or the longest prompts would fit none.
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

// byContext compares buckets by how long a context they have.
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
		return nil // the flags are at fault, and EngineOptions reports it
	}
	return d.kernels().Of(cfg).Fit(buckets)
}

// kernels returns the kernels that there are for the device, or none.
func (d *Device) kernels() model.Kernels {
	switch t := d.Target; t.Kernels {
	case target.MosaicKernels:
		return model.TPUKernels()
	case target.TritonKernels:
		return model.GPUKernels(t.SharedMemory)
	}
	return model.Kernels{}
}

// wantsKernels reports whether the device has kernels and the flags ask for them.
func (d *Device) wantsKernels() bool {
	return d.kernels().Any() && strings.HasPrefix(d.Attention, "fa")
}
