package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/target"
)

// small is an H100 with so much memory.
func small(memory int64) *target.Target {
	t, _ := target.Named("h100")
	t.Memory = memory
	return &t
}

// planned is the engine on a device with kernels, and what of its memory is for what.
func planned(t *testing.T, row *target.Target, cfg checkpoint.Config, set ...func(*Options)) (*Device, model.Options, Memory) {
	t.Helper()
	o := options(t, "cuda")
	o.ContextLength = 8192
	for _, do := range set {
		do(&o)
	}
	d := NewDevice(checked(t, o))
	d.Target = *row
	engine, _, err := d.EngineOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d, engine, d.Memory(cfg, engine)
}

func cacheOf(bytes int64) func(*Options) { return func(o *Options) { o.PrefixCacheBytes = bytes } }
func contextOf(n int) func(*Options)     { return func(o *Options) { o.ContextLength = n } }

// TestCacheOfADevice: unless told otherwise the KV cache of a GPU takes half of what
// weights and steps leave, in whole GiB or whole 64 MiB, and at least the longest
// prompt; elsewhere 1 GiB.
func TestCacheOfADevice(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	longest := 8192 / 128 * model.MemoryOf(cfg, model.Options{DType: dtypeOf(target.BFloat16)}).Page
	for _, memory := range []int64{80 << 30, 24 << 30, 16 << 30, 6 << 30, 3 << 30} {
		_, options, m := planned(t, small(memory), cfg)
		free := m.pool - m.weights - m.steps
		if m.pool != memory/4*3 || m.weights < 2*596e6 || m.steps < 100<<20 || m.steps > 2<<30 {
			t.Fatalf("with %d GiB the plan is %+v", memory>>30, m)
		}
		got, unit := options.PrefixCacheBytes, int64(1<<30)
		if got < unit {
			unit = 64 << 20
		}
		if got%unit != 0 || got > max(0, free/2) || got+unit <= free/2 {
			t.Errorf("with %d GiB, of which %d MiB are free, the cache has %d MiB", memory>>30, free>>20, got>>20)
		}
		if m.cache < max(got, longest) {
			t.Errorf("with %d GiB the cache takes %d MiB of %d", memory>>30, m.cache>>20, max(got, longest)>>20)
		}
	}
	for name, c := range map[string]struct {
		set  func(*Options)
		want int64
	}{
		"so many bytes": {cacheOf(12345678), 12345678}, "none": {cacheOf(0), 0},
		"so many tokens": {func(o *Options) { o.MaxTotalTokens = 1000 }, 1000 * 28 * 2 * 8 * 128 * 2},
	} {
		if _, options, _ := planned(t, small(80<<30), cfg, c.set); options.PrefixCacheBytes != c.want {
			t.Errorf("%s: %d bytes, want %d", name, options.PrefixCacheBytes, c.want)
		}
	}
	few := cfg
	few.Layers = 2
	if _, options, _ := planned(t, small(180<<30), few); options.PrefixCacheBytes != 8<<30 {
		t.Errorf("two layers have a cache of %d bytes, want 2^31 numbers in each", options.PrefixCacheBytes)
	}
	unknown, _ := target.Named("unknown cuda")
	if _, options, _ := planned(t, &unknown, cfg); options.PrefixCacheBytes != 1<<30 {
		t.Errorf("on an unknown card: %d bytes", options.PrefixCacheBytes)
	}
}

// TestDeviceTooSmall: weights or a cache that cannot fit are refused before anything is
// loaded, in one sentence with the remedy; where only the largest steps may not, the
// log warns.
func TestDeviceTooSmall(t *testing.T) {
	for name, c := range map[string]struct {
		memory       int64
		set          func(*Options)
		refused, log string
	}{
		"there is room":                       {80 << 30, func(*Options) {}, "", ""},
		"weights do not fit":                  {1 << 30, func(*Options) {}, "does not do", ""},
		"the cache asked for does not fit":    {80 << 30, cacheOf(60 << 30), "does not do", ""},
		"the longest prompt does not fit":     {3 << 30, contextOf(40960), "does not do", ""},
		"the largest steps may not fit":       {2100 << 20, contextOf(1024), "", "may not do for the largest steps"},
		"without kernels there is room, too":  {80 << 30, func(o *Options) { o.Attention = "native" }, "", ""},
		"a context that needs more than GiBs": {80 << 30, contextOf(40960), "", ""},
	} {
		cfg := checkpoint.Qwen3_0_6B()
		device, options, _ := planned(t, small(c.memory), cfg, c.set)
		var said strings.Builder
		err := device.checkMemory(cfg, options, slog.New(slog.NewTextHandler(&said, nil)))
		if (err != nil) != (c.refused != "") || err != nil && (!strings.Contains(err.Error(), c.refused) ||
			!strings.Contains(err.Error(), "--prefix-cache-bytes") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: error %v, want %q", name, err, c.refused)
		}
		if warned := strings.Contains(said.String(), "level=WARN"); warned != (c.log != "") || !strings.Contains(said.String(), c.log) {
			t.Errorf("%s: the log says %q, want %q", name, said.String(), c.log)
		}
	}
}

// TestNoMemoryIsOneSentence: whatever the plugin says of it.
func TestNoMemoryIsOneSentence(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	d, options, _ := planned(t, small(80<<30), cfg)
	long := &pjrt.Error{Code: pjrt.ResourceExhausted, Message: "Out of memory allocating 1234 bytes.\nBFC chunks:\n" + strings.Repeat("1 2 3\n", 1000)}
	err := d.NoMemory(cfg, options, errors.Join(errors.New("kv cache is not made"), long))
	if err == nil || strings.Contains(err.Error(), "\n") || len(err.Error()) > 900 || !strings.Contains(err.Error(), "kv cache is not made") ||
		!strings.Contains(err.Error(), "--prefix-cache-bytes") || !strings.Contains(err.Error(), "of 61440 for programs") {
		t.Errorf("error is %v", err)
	}
	other := errors.New("file is not there")
	if got := d.NoMemory(cfg, options, other); !errors.Is(got, other) || d.NoMemory(cfg, options, nil) != nil {
		t.Errorf("another error became %v", got)
	}
}
