package target

// table returns the accelerators. Sources of peaks, bandwidths and memories:
//
//   - TPUs: https://cloud.google.com/tpu/docs/v4, v5e, v5p and v6e, system
//     architecture. The clock is the one that yields the peak of their matrix units:
//     four of 128x128 multipliers in a v5e, eight in a v5p, four of 256x256 in a v6e.
//   - GPUs: NVIDIA's data sheets of A100 80GB SXM, L4, H100 SXM, H200 SXM and B200
//     (HGX), dense bfloat16. Shared memory: CUDA C++ programming guide, table of
//     compute capabilities.
func table() []Target {
	return []Target{
		tpu(Target{Name: "v4", Kinds: []string{"tpu v4"}, Peak: 275e12, Bandwidth: 1228e9,
			Memory: 32 << 30}),
		tpu(Target{Name: "v5e", Kinds: []string{"tpu v5 lite", "tpu v5e"}, Peak: 197e12,
			Bandwidth: 819e9, Clock: 1.5e9, Memory: 16 << 30}),
		tpu(Target{Name: "v5p", Kinds: []string{"tpu v5", "tpu v5p"}, Peak: 459e12,
			Bandwidth: 2765e9, Clock: 1.75e9, Memory: 95 << 30}),
		tpu(Target{Name: "v6e", Kinds: []string{"tpu v6 lite", "tpu v6e"}, Peak: 918e12,
			Bandwidth: 1640e9, Clock: 1.75e9, Memory: 32 << 30}),
		tpu(Target{Name: "unknown tpu"}),
		gpu(Target{Name: "a100", Kinds: []string{"a100", "a800"}, Peak: 312e12, Bandwidth: 2039e9,
			Memory: 80 << 30, SharedMemory: 163 << 10}),
		gpu(Target{Name: "l4", Kinds: []string{"l4"}, Peak: 121e12, Bandwidth: 300e9, Memory: 24 << 30}),
		gpu(Target{Name: "h100", Kinds: []string{"h100", "h800"}, SharedMemory: 227 << 10,
			Peak: 989e12, Bandwidth: 3350e9, Memory: 80 << 30}),
		gpu(Target{Name: "h200", Kinds: []string{"h200", "gh200"}, SharedMemory: 227 << 10,
			Peak: 989e12, Bandwidth: 4800e9, Memory: 141 << 30}),
		gpu(Target{Name: "b200", Kinds: []string{"b200", "gb200"}, SharedMemory: 227 << 10,
			Peak: 2250e12, Bandwidth: 8000e9, Memory: 180 << 30}),
		gpu(Target{Name: "unknown cuda"}),
	}
}

// tpu completes a row with what all TPUs have in common.
//
// Prices are estimates, because scored has not run on a TPU yet. Linear layers are
// assumed to reach about three quarters of the peak, attention half of that, and in
// kernels 0.3 of it.
// With the compiler's and the kernels' instruction counts for W2 on a v6e, a step takes
// 6.0 ms then (docs/performance-tpu.md). Between two steps the chip is assumed to be
// idle for about 0.3 ms, while the host reads scores and queues programs.
func tpu(t Target) Target {
	t.Platform, t.Weights, t.Async, t.Kernels, t.Pool = "tpu", BFloat16, true, MosaicKernels, 1
	t.Ladders = map[Attention]Ladder{Native: wide, Fused: packed}
	peak, bandwidth := t.orV6e()
	t.Prices = map[Attention]Price{
		Native: {Idle: 0.29e-3, Flops: 0.76 * peak, Bytes: 0.85 * bandwidth, Attention: 0.38 * peak},
		Fused: {Idle: 0.29e-3, Flops: 0.76 * peak, Bytes: 0.85 * bandwidth, Attention: 0.22 * peak,
			TokenKeys: 1250},
	}
	return t
}

// orV6e returns the row's own peak and bandwidth, or those of a v6e if they are not
// known.
func (t Target) orV6e() (peak, bandwidth float64) {
	if t.Peak == 0 {
		return 918e12, 1640e9
	}
	return t.Peak, t.Bandwidth
}

// gpu completes a row with what all GPUs have in common.
//
// Prices are an H100's, by `scored calibrate` on a host of 16 cores (docs/gpu.md),
// within a fifth of what each shape took. There a small step waited for the host, which
// launched a program for each layer, rather than for weights: Bytes stands for that.
// Of other cards the rates of products and of attention are proportional to their
// peaks. Idle and Bytes are the H100's for all, as they are the host's.
func gpu(t Target) Target {
	t.Platform, t.Weights, t.Async, t.Kernels, t.HostLoops = "cuda", BFloat16, true,
		TritonKernels, true
	if t.SharedMemory == 0 {
		t.SharedMemory = 99 << 10 // what every card since Ampere has at least
	}
	// XLA's allocator takes three quarters of the card's memory. Half of what is left
	// of that is for the compiler, which times products while it compiles, and for
	// fragmentation.
	t.Pool, t.CacheShare = 0.75, 0.5
	// A program has four layers, so that the host launches a quarter as many programs.
	// On an H100 the host took 0.14 ms to launch a program of one layer, and for all 28
	// as long as a step of 1,024 tokens. CUDA's compiler takes twice as long for a
	// program of 28 layers as for one of a single layer, and a layer moves as much
	// memory in it.
	t.Group = 4
	// Command buffers, which are CUDA graphs, are off: with them a device trace that
	// ends under load loses the device. On an H100 they made nothing faster: 992
	// items/s with them, 1,019 without.
	t.Options = map[string]string{"xla_gpu_enable_command_buffer": ""}
	t.Folders = map[string]string{"xla_gpu_per_fusion_autotune_cache_dir": "autotune"}
	t.Ladders = map[Attention]Ladder{Native: wide, Fused: long}
	arithmetic := t.Peak / 989e12
	if t.Peak == 0 {
		arithmetic = 1
	}
	t.Prices = map[Attention]Price{
		Native: {Idle: 6e-3, Flops: 900e12 * arithmetic, Bytes: 398e9, Attention: 145e12 * arithmetic},
		Fused: {Idle: 1.47e-3, Flops: 371e12 * arithmetic, Bytes: 238e9,
			Attention: 401e12 * arithmetic, TokenKeys: 780},
	}
	return t
}
