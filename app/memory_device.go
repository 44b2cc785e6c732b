package app

import (
	"fmt"
	"log/slog"
	"strings"

	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
)

// usualCache is the KV cache's size on a device whose row gives it no share.
const usualCache = 1 << 30

// prefixCacheBytes returns how many bytes of prefixes the KV cache may keep: by
// --prefix-cache-bytes, or by the device's row where that is -1, and at most
// --max-total-tokens. By the row, a layer's part has at most 2^31 numbers, as a device
// counts those in 32 bits. The result depends on flags and row alone, not on what is free
// at the moment: the cache's size is part of compiled programs, which the next start is
// to find again. All other fields of options must be set.
func (d *Device) prefixCacheBytes(cfg checkpoint.Config, options model.Options) int64 {
	bytes := d.options.PrefixCacheBytes
	if bytes < 0 {
		bytes = usualCache
		if t := d.Target; t.Memory > 0 && t.CacheShare > 0 {
			m := d.Memory(cfg, options)
			share := int64(t.CacheShare * float64(max(0, m.pool-m.weights-m.steps)))
			bytes = roundDown(min(share, int64(cfg.Layers)*int64(options.Products.Size())<<31))
		}
	}
	if d.options.MaxTotalTokens == 0 {
		return bytes
	}
	page := model.MemoryOf(cfg, options).Page
	return min(bytes, int64(d.options.MaxTotalTokens)*page/score.PageTokens)
}

// roundDown returns whole GiB, or below one GiB whole 64 MiB, so that a small change of a
// step shape changes no program.
func roundDown(bytes int64) int64 {
	if bytes >= 1<<30 {
		return bytes &^ (1<<30 - 1)
	}
	return bytes &^ (64<<20 - 1)
}

// Memory is how a device's memory is divided, in bytes of one device.
type Memory struct {
	pool    int64 // what programs get; 0: not known
	weights int64
	steps   int64 // at most: activations of the largest steps
	cache   int64 // the KV cache
}

// Memory returns what an engine with these options takes of the device's memory.
func (d *Device) Memory(cfg checkpoint.Config, options model.Options) Memory {
	t, m := d.Target, model.MemoryOf(cfg, options)
	return Memory{pool: int64(t.Pool * float64(t.Memory)), weights: m.Weights, steps: m.Steps,
		cache: m.Cache}
}

// String implements fmt.Stringer.
func (m Memory) String() string {
	takes := fmt.Sprintf("weights %d MiB, KV cache %d, steps at most %d", m.weights>>20, m.cache>>20,
		m.steps>>20)
	if m.pool == 0 {
		return takes
	}
	return fmt.Sprintf("%s, of %d for programs", takes, m.pool>>20)
}

// remedies are what helps on a device that is too small, the cheapest first.
const remedies = "end what else uses the device, lower --prefix-cache-bytes, --context-length or " +
	"--chunked-prefill-size, or take a smaller model or a larger device"

// checkMemory refuses a model that cannot fit a device whose memory is known: weights and
// the KV cache, without which nothing runs. What steps take is an upper bound, and so a
// reason to warn only. Memory of the host is limitMemory's.
func (d *Device) checkMemory(cfg checkpoint.Config, options model.Options, log *slog.Logger) error {
	m := d.Memory(cfg, options)
	if d.Target.HostMemory {
		return nil
	}
	if m.pool == 0 {
		log.Info("device memory is not known", "weights_mb", m.weights>>20, "cache_mb", m.cache>>20,
			"steps_mb", m.steps>>20)
		return nil
	}
	log.Info("device memory", "for_programs_mb", m.pool>>20, "weights_mb", m.weights>>20,
		"cache_mb", m.cache>>20, "steps_mb", m.steps>>20)
	switch {
	case m.weights+m.cache > m.pool:
		return UsageError{Err: fmt.Errorf("memory of the device does not do (%s); %s", m, remedies)}
	case m.weights+m.cache+m.steps > m.pool:
		log.Warn("memory of the device may not do for the largest steps: lower --prefix-cache-bytes, " +
			"--context-length or --chunked-prefill-size")
	}
	return nil
}

// NoMemory returns the error of a start that found no memory left on the device, in one
// sentence: a plugin's own text is pages long.
func (d *Device) NoMemory(cfg checkpoint.Config, options model.Options, err error) error {
	if err == nil || !outOfMemory(err) {
		return err
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	if len(first) > 300 {
		first = strings.ToValidUTF8(first[:300], "") + "…"
	}
	return fmt.Errorf("memory of the device ran out while the model was loaded (%s): %s; %s",
		d.Memory(cfg, options), first, remedies)
}
