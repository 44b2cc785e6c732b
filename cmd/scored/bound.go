package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"scored/bench"
	"scored/model"
	"scored/pjrt"
	"scored/score"
	"scored/target"
)

// load is a kind of request whose throughput is worth knowing.
type load struct {
	bench.Workload
	kept  bool // the query is on the device already
	alone bool // every item is a request of its own
}

// loads are the workloads that accelerators are compared by, and W3 with its query kept.
func loads() (all []load) {
	for _, w := range bench.Workloads() {
		switch w.Name {
		case "w1", "w2", "w3":
			all = append(all, load{Workload: w, alone: w.Items == 1})
		}
		if w.Name == "w3" {
			all = append(all, load{Workload: w, kept: true})
		}
	}
	return all
}

func (w load) name() string {
	if w.kept {
		return w.Name + " kept"
	}
	return w.Name
}

// steps is how many steps of the bucket a request takes, and how many items they answer; 0 if the bucket cannot hold it.
func (w load) steps(b score.Bucket) (steps, items int) {
	own, shared := w.ItemTokens, w.QueryTokens
	if own > b.Length || shared > b.Prefix || own > b.Tokens {
		return 0, 0
	}
	if w.alone {
		return 1, min(b.Rows, b.Tokens/own)
	}
	missing := shared
	if w.kept {
		missing = 0
	}
	for left := w.Items; left > 0; steps++ {
		free := b.Tokens - min(missing, b.Tokens)
		if missing -= min(missing, b.Tokens); missing == 0 {
			left -= min(left, b.Rows, free/own)
		}
	}
	return steps, w.Items
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
func reportAhead(w io.Writer, chip target.Target, cfg model.Config, options model.Options, costs map[string]ahead) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "bucket\tGFLOP\taccessed GB\tmain GB\targ MB\ttemp MB\tcode MB\tflops ms\taccessed ms\tmain ms\testimate ms\t")
	for _, load := range loads() {
		fmt.Fprintf(table, "%s items/s\t", load.name())
	}
	fmt.Fprintln(table)
	for _, b := range options.Buckets {
		step := stepAhead(cfg, b, costs)
		if options.Kernels.Any() {
			step.cycles += cfg.KernelCycles(b)
		}
		flops, accessed, main := step.Flops/chip.Peak, step.BytesAccessed/chip.Bandwidth, step.traffic/chip.Bandwidth
		estimate := step.cycles / chip.Clock
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t", bucketText(b), step.Flops/1e9,
			step.BytesAccessed/1e9, step.traffic/1e9, float64(step.ArgumentBytes)/1e6, float64(step.TempBytes)/1e6,
			float64(step.CodeBytes)/1e6, flops*1e3, accessed*1e3, main*1e3, estimate*1e3)
		bound := max(flops, main)
		for _, load := range loads() {
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
