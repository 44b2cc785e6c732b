package app

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"scored/model/checkpoint"
)

func TestMemoryOf(t *testing.T) {
	none := memlimit.Provider(func() (uint64, error) { return 0, memlimit.ErrNoLimit })
	broken := memlimit.Provider(func() (uint64, error) { return 0, errors.New("no such file") })
	for name, c := range map[string]struct {
		cgroup, machine memlimit.Provider
		total           int64
		from            string
	}{
		"a container":              {memlimit.Limit(4 << 30), memlimit.Limit(64 << 30), 4 << 30, "cgroup"},
		"no bound":                 {none, memlimit.Limit(64 << 30), 64 << 30, "machine"},
		"no bound in cgroup v1":    {memlimit.Limit(math.MaxInt64 - 4095), memlimit.Limit(64 << 30), 64 << 30, "machine"},
		"a bound above all":        {memlimit.Limit(math.MaxUint64), memlimit.Limit(64 << 30), 64 << 30, "machine"},
		"no cgroups":               {broken, memlimit.Limit(64 << 30), 64 << 30, "machine"},
		"a machine that is silent": {memlimit.Limit(4 << 30), broken, 4 << 30, "cgroup"},
		"nobody tells":             {broken, none, math.MaxInt64, ""},
	} {
		if total, from := memoryOf(c.cgroup, c.machine); total != c.total || from != c.from {
			t.Errorf("%s: %d from %q, want %d from %q", name, total, from, c.total, c.from)
		}
	}
}

func TestHeapShare(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		total, outside, heap int64
		fits                 bool
	}{
		{10 * gb, 0, 9 * gb, true},
		{10 * gb, 4 * gb, 5 * gb, true},
		{10 * gb, 9 * gb, leastHeap, false},
		{10 * gb, 20 * gb, leastHeap, false},
	} {
		if heap, fits := heapShare(c.total, c.outside); heap != c.heap || fits != c.fits {
			t.Errorf("of %d with %d outside: %d, %t; want %d, %t", c.total, c.outside, heap, fits, c.heap, c.fits)
		}
	}
}

// TestLimitMemory: weights and prefixes count where they are on the host, and
// GOMEMLIMIT wins.
func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	deviceOf := func(platform string, cacheBytes int64, replicas int) *Device {
		o := options(t, platform)
		o.PrefixCacheBytes, o.Replicas = cacheBytes, replicas
		return NewDevice(checked(t, o))
	}
	limit := func(platform string, replicas int) int64 {
		debug.SetMemoryLimit(12345 << 20)
		limitMemory(deviceOf(platform, 1000000, replicas), checkpoint.Qwen3_0_6B(), slog.New(slog.DiscardHandler))
		return debug.SetMemoryLimit(-1)
	}
	t.Setenv("GOMEMLIMIT", "")
	tpu := limit("tpu", 1)
	cpu := limit("cpu", 1)
	twice := limit("cpu", 2)
	weights := checkpoint.Qwen3_0_6B().Parameters()*4 + 1000000
	for replicas, got := range map[int64]int64{1: cpu, 2: twice} {
		if want := max(tpu-replicas*weights, leastHeap); got != want {
			t.Errorf("%d replicas on the CPU leave %d of %d, want %d", replicas, got, tpu, want)
		}
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	if got := limit("cpu", 1); got != 12345<<20 {
		t.Errorf("GOMEMLIMIT is set, and the limit became %d", got)
	}
	var said strings.Builder
	t.Setenv("GOMEMLIMIT", "")
	huge := checkpoint.Qwen3_0_6B()
	huge.IntermediateSize *= 10000
	limitMemory(deviceOf("cpu", -1, 1), huge, slog.New(slog.NewTextHandler(&said, nil)))
	if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), "may not do for the model") {
		t.Errorf("a model larger than any machine: log %q", said.String())
	}
}
