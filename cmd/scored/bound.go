package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"scored/model"
	"scored/pjrt"
	"scored/score"
)

// roofline is what a chip can do at most.
type roofline struct {
	flops float64 // per second, bfloat16
	bytes float64 // per second, of its main memory
}

// rooflineOf is that of a topology's generation, by Google's published figures; zero if unknown.
func rooflineOf(topology string) roofline {
	generation, _, _ := strings.Cut(topology, ":")
	return map[string]roofline{
		"v5e": {197e12, 819e9},
		"v5p": {459e12, 2765e9},
		"v6e": {918e12, 1640e9},
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

// bodyRuns is stepRuns without the heads.
func bodyRuns(b score.Bucket, layers int) map[string]int {
	return map[string]int{
		fmt.Sprintf("embed_t%d", b.Tokens):                                         1,
		fmt.Sprintf("block_t%d_r%d_l%d_p%d", b.Tokens, b.Rows, b.Length, b.Prefix): layers,
	}
}

// stepRuns is how often a step of the bucket runs each program, by name. Of the heads it counts the labels' alone, for
// as many rows as the bucket holds.
func stepRuns(b score.Bucket, layers int) map[string]int {
	runs := bodyRuns(b, layers)
	rows, heads := 64, (b.Rows+63)/64
	if b.Rows <= 8 {
		rows, heads = 8, 1
	}
	runs[fmt.Sprintf("last_t%d_r%d", b.Tokens, rows)] = heads
	runs[fmt.Sprintf("head_r%d_vfalse", rows)] = heads
	return runs
}

// ahead is what one run of a program costs by its compilation ahead of time.
type ahead struct {
	pjrt.Cost
	traffic float64 // bytes to and from main memory
}

// reportAhead prints what a step of each bucket costs by the compiler's own analysis, and two times per step. The least
// is that of its arithmetic or of its traffic with main memory, whichever is longer: no step can be faster. The most
// takes every byte that any operation touches for one of main memory, though nearly all of them stay in fast memory.
func reportAhead(w io.Writer, chip roofline, cfg model.Config, buckets []score.Bucket, costs map[string]ahead) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "bucket\tGFLOP\taccessed GB\tmain GB\targ MB\ttemp MB\tcode MB\tflops ms\taccessed ms\tmain ms\t")
	for _, load := range workloads() {
		fmt.Fprintf(table, "%s items/s\t", load.name)
	}
	fmt.Fprintln(table)
	for _, b := range buckets {
		step := ahead{}
		for name, runs := range stepRuns(b, cfg.Layers) {
			cost := costs[name]
			step.Flops += float64(runs) * cost.Flops
			step.BytesAccessed += float64(runs) * cost.BytesAccessed
			step.traffic += float64(runs) * cost.traffic
			step.CodeBytes += cost.CodeBytes
			step.ArgumentBytes = max(step.ArgumentBytes, cost.ArgumentBytes)
			step.TempBytes = max(step.TempBytes, cost.TempBytes)
		}
		flops, accessed, main := step.Flops/chip.flops, step.BytesAccessed/chip.bytes, step.traffic/chip.bytes
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t", bucketText(b), step.Flops/1e9,
			step.BytesAccessed/1e9, step.traffic/1e9, float64(step.ArgumentBytes)/1e6, float64(step.TempBytes)/1e6,
			float64(step.CodeBytes)/1e6, flops*1e3, accessed*1e3, main*1e3)
		for _, load := range workloads() {
			if steps, items := load.steps(b); steps > 0 {
				perSecond := func(step float64) float64 { return float64(items) / (float64(steps) * step) }
				fmt.Fprintf(table, "%.0f..%.0f\t", perSecond(max(flops, accessed)), perSecond(max(flops, main)))
			} else {
				fmt.Fprint(table, "-\t")
			}
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

func bucketText(b score.Bucket) string {
	return fmt.Sprintf("%dx%dx%dx%d", b.Tokens, b.Rows, b.Length, b.Prefix)
}
