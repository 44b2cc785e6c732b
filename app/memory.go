package app

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"scored/model/checkpoint"
)

// leastHeap is what Go's heap may take even where the rest leaves no room: below it,
// collecting would take more time than serving. The tokenizer's tables and a body of
// the largest size fit in.
const leastHeap = 512 << 20

// limitMemory bounds Go's heap, so that garbage is collected before the system runs out
// of memory and ends the process. It warns where the model may not fit. GOMEMLIMIT, if
// set, is left as it is: whoever sets it knows the machine better.
func limitMemory(d *Device, cfg checkpoint.Config, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	total, from := memoryOf(memlimit.FromCgroup, memlimit.FromSystem)
	if total == math.MaxInt64 {
		log.Warn("Go's heap has no bound: neither a cgroup nor the system tells how much memory there " +
			"is; set GOMEMLIMIT")
		return
	}
	options, _, err := d.EngineOptions(cfg)
	if err != nil {
		return // check has refused it
	}
	outside := int64(0)
	if d.Target.HostMemory {
		outside = int64(d.options.Replicas) * (cfg.Parameters()*int64(options.DType.Size()) +
			options.PrefixCacheBytes)
	}
	heap, fits := heapShare(total, outside)
	debug.SetMemoryLimit(heap)
	attributes := []any{"total_mb", total >> 20, "from", from,
		"weights_and_prefixes_mb", outside >> 20, "go_heap_mb", heap >> 20}
	if !fits {
		log.Warn("memory may not do for the model: lower --prefix-cache-bytes, use --dtype bfloat16, "+
			"or give more", attributes...)
		return
	}
	log.Info("memory", attributes...)
}

// heapShare is how much of the memory Go's heap may take, beside what lies outside of
// it: on a CPU weights and kept prefixes, which the plugin allocates. A tenth is for
// what else C code takes: the compiler, a step's arrays, tokenizing. The rest is Go's:
// it needs a few megabytes, and some times their bytes for the largest requests. fits
// is false if the rest is too little.
func heapShare(total, outside int64) (heap int64, fits bool) {
	rest := total - total/10 - outside
	return max(rest, leastHeap), rest >= leastHeap
}

// memoryOf returns the bytes that the cgroup or the machine grants, whichever grants
// less, and which of them it is; math.MaxInt64 if neither is known. cgroup v1 grants a
// number near 2^63 where there is no bound.
func memoryOf(cgroup, machine memlimit.Provider) (total int64, from string) {
	total = math.MaxInt64
	if n, err := machine(); err == nil && n < math.MaxInt64 {
		total, from = int64(n), "machine"
	}
	if n, err := cgroup(); err == nil && n < uint64(total) {
		total, from = int64(n), "cgroup"
	}
	return total, from
}
