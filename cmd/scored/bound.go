package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"scored/bench"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/hlo"
	"scored/pjrt/ptx"
	"scored/score"
	"scored/target"
)

// load is a kind of request, to say how many items a second a step shape could answer.
type load struct {
	bench.Workload
	kept  bool // the query is on the device already
	alone bool // every item is a request of its own
}

// loads returns the workloads that accelerators are compared by: W1 to W3 of package
// bench, and W3 with its query kept.
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

// parseLoads reads --workloads, QUERY+ITEMxITEMS with commas between them; nil for "".
// One with a query is also a load with the query kept.
func parseLoads(text string) (all []load, err error) {
	if text == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		var rest string
		w := load{Workload: bench.Workload{Name: name}}
		n, _ := fmt.Sscanf(name+" .", "%d+%dx%d %s", &w.QueryTokens, &w.ItemTokens, &w.Items, &rest)
		if n != 4 || w.QueryTokens < 0 || min(w.ItemTokens, w.Items) < 1 {
			return nil, fmt.Errorf("flag --workloads: %q is not QUERY+ITEMxITEMS, e.g. 120+180x10", name)
		}
		all = append(all, w)
		if w.QueryTokens > 0 {
			w.kept = true
			all = append(all, w)
		}
	}
	return all, nil
}

// name returns the load's name in tables.
func (w load) name() string {
	if w.kept {
		return w.Name + " kept"
	}
	return w.Name
}

// steps returns how many steps of the bucket a request takes, and how many items they
// answer; 0 if the bucket cannot hold it. A query is computed first, as many tokens of it
// in each step as fit; rows follow in the step that ends it. Requests of one item fill a
// step together.
func (w load) steps(b score.Bucket) (steps, items int) {
	own, shared := w.ItemTokens, w.QueryTokens
	if own > b.Length || shared > b.Context || own > b.Tokens {
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

// programCost is what one run of a program, or of a step's programs, costs by its
// compilation ahead of time.
type programCost struct {
	pjrt.Cost
	traffic float64 // bytes to and from main memory
	cycles  float64 // the compiler's estimate
	kernels hlo.Kernels
	uses    map[string]ptx.Use // of a GPU's kernels of attention
	took    time.Duration      // to compile
}

// stepTime is how long a step of a bucket takes: at least, by the chip's arithmetic and
// memory, and by the compiler's estimate if that is longer.
type stepTime struct {
	score.Bucket
	bound, estimate float64 // seconds
}

// perSecond returns how many items a second so many items in so many steps are.
func perSecond(items, steps int, seconds float64) float64 {
	return float64(items) / (float64(steps) * seconds)
}

// reportAhead prints a line for each bucket: what a step costs by the compiler's own
// analysis, and how many items a second that is for each of loads, as LEAST..MOST.
//
// LEAST is by the compiler's estimate of the time of every operation, which knows nothing
// of gathers. MOST is by the bound of arithmetic and of traffic with main memory, which
// no step can exceed. Kernels, which the compiler cannot see into, count with the
// instructions that it schedules for them.
func reportAhead(w io.Writer, chip target.Target, cfg checkpoint.Config, options model.Options,
	costs map[string]programCost) ([]stepTime, error) {
	var all []stepTime
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "bucket\tGFLOP\taccessed GB\tmain GB\targ MB\ttemp MB\tcode MB\tflops "+
		"ms\taccessed ms\tmain ms\testimate ms\t")
	for _, load := range loads() {
		fmt.Fprintf(table, "%s items/s\t", load.name())
	}
	fmt.Fprintln(table)
	for _, b := range options.Buckets {
		step := stepAhead(cfg, options, b, costs)
		if options.Kernels.Any() {
			step.cycles += options.Kernels.Of(cfg).Cycles(b)
		}
		flops, accessed, main := step.Flops/chip.Peak, step.BytesAccessed/chip.Bandwidth,
			step.traffic/chip.Bandwidth
		estimate := step.cycles / chip.Clock
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t",
			bucketText(b), step.Flops/1e9, step.BytesAccessed/1e9, step.traffic/1e9,
			float64(step.ArgumentBytes)/1e6, float64(step.TempBytes)/1e6, float64(step.CodeBytes)/1e6,
			flops*1e3, accessed*1e3, main*1e3, estimate*1e3)
		bound := max(flops, main)
		for _, load := range loads() {
			if steps, items := load.steps(b); steps > 0 {
				fmt.Fprintf(table, "%.0f..%.0f\t", perSecond(items, steps, max(bound, estimate)),
					perSecond(items, steps, bound))
			} else {
				fmt.Fprint(table, "-\t")
			}
		}
		fmt.Fprintln(table)
		all = append(all, stepTime{b, bound, max(bound, estimate)})
	}
	return all, table.Flush()
}

// reportLoads prints a line for each load: the bucket whose steps answer it soonest by
// the estimate, and how many items a second that is, by the estimate and by the bound.
// All of a request's steps are taken to be of one bucket, which a server need not do.
func reportLoads(w io.Writer, loads []load, steps []stepTime) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\tbucket\tsteps\testimate ms\titems/s\tbound items/s\t")
	for _, load := range loads {
		best, most, soonest := stepTime{}, 0, math.Inf(1)
		for _, step := range steps {
			if n, _ := load.steps(step.Bucket); n > 0 && float64(n)*step.estimate < soonest {
				best, most, soonest = step, n, float64(n)*step.estimate
			}
		}
		if most == 0 {
			fmt.Fprintf(table, "%s\tnone holds it\t-\t-\t-\t-\t\n", load.name())
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%.2f\t%.0f\t%.0f\t\n", load.name(), bucketText(best.Bucket), most,
			soonest*1e3, perSecond(load.Items, most, best.estimate), perSecond(load.Items, most, best.bound))
	}
	return table.Flush()
}

// stepAhead adds up the programs of a step: their work, and the time to compile each
// once. Of arguments and temporaries it takes the most that one program holds, as they
// run one after the other.
func stepAhead(cfg checkpoint.Config, options model.Options, b score.Bucket,
	costs map[string]programCost) (step programCost) {
	for name, runs := range model.RunsOf(cfg.Layers, options.Group).Step(b) {
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

// bucketText returns a bucket as --buckets takes it.
func bucketText(b score.Bucket) string {
	return fmt.Sprintf("%dx%dx%dx%d", b.Tokens, b.Rows, b.Length, b.Context)
}
