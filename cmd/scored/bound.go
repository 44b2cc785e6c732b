package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"scored/model"
	"scored/pjrt"
	"scored/score"
)

// roofline is what a chip can do at most.
type roofline struct {
	flops float64 // per second, bfloat16
	bytes float64 // per second, of its main memory
	clock float64 // cycles per second
}

// rooflineOf is that of a topology's generation, by Google's published figures, or of a card, by NVIDIA's without sparsity; zero
// if unknown. The clock is what makes
// the peak of its matrix units: four of 128x128 multipliers in a v5e, eight in a v5p, four of 256x256 in a v6e.
func rooflineOf(topology string) roofline {
	generation, card, _ := strings.Cut(topology, ":")
	if generation == "cuda" {
		generation = card
	}
	return map[string]roofline{
		"v5e": {197e12, 819e9, 1.5e9},
		"v5p": {459e12, 2765e9, 1.75e9},
		"v6e": {918e12, 1640e9, 1.75e9},

		"a100": {312e12, 2039e9, 1.41e9},
		"h100": {989e12, 3352e9, 1.98e9},
		"h200": {989e12, 4800e9, 1.98e9},
		"b200": {2250e12, 7672e9, 1.965e9},
		"l4":   {121e12, 300e9, 2.04e9},
	}[generation]
}

// workload is a kind of request whose throughput is worth knowing.
type workload struct {
	name               string
	shared, own, items int
	cached             bool // the shared tokens are on the device already
	alone              bool // every item is a request of its own
}

func workloads() []workload {
	return []workload{
		{name: "W1", own: 300, items: 1, alone: true},
		{name: "W2", shared: 120, own: 180, items: 10},
		{name: "W3", shared: 2000, own: 20, items: 500},
		{name: "W3 kept", shared: 2000, own: 20, items: 500, cached: true},
	}
}

// steps is how many steps of the bucket a request takes, and how many items they answer; 0 if the bucket cannot hold it.
func (w workload) steps(b score.Bucket) (steps, items int) {
	if w.own > b.Length || w.shared > b.Prefix || w.own > b.Tokens {
		return 0, 0
	}
	if w.alone {
		return 1, min(b.Rows, b.Tokens/w.own)
	}
	missing := w.shared
	if w.cached {
		missing = 0
	}
	for left := w.items; left > 0; steps++ {
		free := b.Tokens - min(missing, b.Tokens)
		if missing -= min(missing, b.Tokens); missing == 0 {
			left -= min(left, b.Rows, free/w.own)
		}
	}
	return steps, w.items
}

// ahead is what one run of a program costs by its compilation ahead of time.
type ahead struct {
	pjrt.Cost
	traffic float64 // bytes to and from main memory
	cycles  float64 // the compiler's estimate
	kernels pjrt.Kernels
	took    time.Duration // to compile
}

// reportAhead prints what a step of each bucket costs by the compiler's own analysis, and how many items a second that
// would be, from the compiler's estimate of every operation's time, which knows nothing of gathers, to the bound of
// arithmetic and of traffic with main memory, which no step can pass. Kernels, which the compiler cannot see into, count
// with the instructions it schedules for them.
func reportAhead(w io.Writer, chip roofline, cfg model.Config, options model.Options, costs map[string]ahead) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "bucket\tGFLOP\taccessed GB\tmain GB\targ MB\ttemp MB\tcode MB\tflops ms\taccessed ms\tmain ms\testimate ms\t")
	for _, load := range workloads() {
		fmt.Fprintf(table, "%s items/s\t", load.name)
	}
	fmt.Fprintln(table)
	for _, b := range options.Buckets {
		step := stepAhead(cfg, b, costs)
		if options.Kernels.Any() {
			step.cycles += cfg.KernelCycles(b)
		}
		flops, accessed, main := step.Flops/chip.flops, step.BytesAccessed/chip.bytes, step.traffic/chip.bytes
		estimate := step.cycles / chip.clock
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t", bucketText(b), step.Flops/1e9,
			step.BytesAccessed/1e9, step.traffic/1e9, float64(step.ArgumentBytes)/1e6, float64(step.TempBytes)/1e6,
			float64(step.CodeBytes)/1e6, flops*1e3, accessed*1e3, main*1e3, estimate*1e3)
		bound := max(flops, main)
		for _, load := range workloads() {
			if steps, items := load.steps(b); steps > 0 {
				perSecond := func(step float64) float64 { return float64(items) / (float64(steps) * step) }
				fmt.Fprintf(table, "%.0f..%.0f\t", perSecond(max(bound, estimate)), perSecond(bound))
			} else {
				fmt.Fprint(table, "-\t")
			}
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// stepAhead adds up the programs of a step: their work, and the most that one of them holds.
func stepAhead(cfg model.Config, b score.Bucket, costs map[string]ahead) (step ahead) {
	for name, runs := range cfg.StepRuns(b) {
		cost := costs[name]
		step.Flops += float64(runs) * cost.Flops
		step.BytesAccessed += float64(runs) * cost.BytesAccessed
		step.traffic += float64(runs) * cost.traffic
		step.cycles += float64(runs) * cost.cycles
		step.CodeBytes += cost.CodeBytes
		step.took += cost.took
		step.ArgumentBytes = max(step.ArgumentBytes, cost.ArgumentBytes)
		step.TempBytes = max(step.TempBytes, cost.TempBytes)
	}
	return step
}

func bucketText(b score.Bucket) string {
	return fmt.Sprintf("%dx%dx%dx%d", b.Tokens, b.Rows, b.Length, b.Prefix)
}
