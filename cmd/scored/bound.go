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

// stepRuns is how often a step of the bucket runs each program, by name. Of the heads it counts the labels' alone, for
// as many rows as the bucket holds.
func stepRuns(b score.Bucket, layers int) map[string]int {
	runs := map[string]int{
		fmt.Sprintf("embed_t%d", b.Tokens):                                         1,
		fmt.Sprintf("block_t%d_r%d_l%d_p%d", b.Tokens, b.Rows, b.Length, b.Prefix): layers,
	}
	rows, heads := 64, (b.Rows+63)/64
	if b.Rows <= 8 {
		rows, heads = 8, 1
	}
	runs[fmt.Sprintf("last_t%d_r%d", b.Tokens, rows)] = heads
	runs[fmt.Sprintf("head_r%d_vfalse", rows)] = heads
	return runs
}

// reportAhead prints what a step of each bucket costs by the compiler's own analysis, and the least time it can take on
// the chip: that of its arithmetic or that of its memory traffic, whichever is longer. It is a bound, not a measurement.
func reportAhead(w io.Writer, chip roofline, cfg model.Config, buckets []score.Bucket, costs map[string]pjrt.Cost) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "bucket\tGFLOP\tGB\targ MB\ttemp MB\tcode MB\tflops ms\tbytes ms\tbound ms\t")
	for _, load := range workloads() {
		fmt.Fprintf(table, "%s items/s\t", load.name)
	}
	fmt.Fprintln(table)
	for _, b := range buckets {
		var flops, bytes float64
		var arguments, temp, code int64
		for name, runs := range stepRuns(b, cfg.Layers) {
			cost := costs[name]
			flops += float64(runs) * cost.Flops
			bytes += float64(runs) * cost.BytesAccessed
			arguments, temp, code = max(arguments, cost.ArgumentBytes), max(temp, cost.TempBytes), code+cost.CodeBytes
		}
		arithmetic, traffic := flops/chip.flops, bytes/chip.bytes
		bound := max(arithmetic, traffic)
		fmt.Fprintf(table, "%dx%dx%dx%d\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t", b.Tokens, b.Rows, b.Length, b.Prefix,
			flops/1e9, bytes/1e9, float64(arguments)/1e6, float64(temp)/1e6, float64(code)/1e6, arithmetic*1e3, traffic*1e3, bound*1e3)
		for _, load := range workloads() {
			if steps, items := load.steps(b); steps > 0 {
				fmt.Fprintf(table, "%.0f\t", float64(items)/(float64(steps)*bound))
			} else {
				fmt.Fprint(table, "-\t")
			}
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
