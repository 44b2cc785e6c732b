package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt/ptx"
	"scored/target"
)

// The kernels of attention, by their names in package triton.
const attendKernel, keysKernel = "attend", "keys"

// reportCard prints a line for each bucket: what a step needs on a GPU by its optimized
// programs. That is how many kernels a layer launches; how much it moves to and from
// memory, in all and beside its matrix products; the shared memory of its kernel of
// attention; the registers of a thread of attend and of keys, and the bytes that both
// spill; and the least time of all programs by the card's arithmetic and memory. How
// long they take only the card can tell. The last line is how the card's memory is
// divided.
func reportCard(w io.Writer, device *app.Device, cfg checkpoint.Config, options model.Options,
	costs map[string]programCost) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "bucket\tGFLOP\tmoved GB\targ MB\ttemp MB\tkernels a layer\tproducts\tmoved "+
		"MB a layer\tbeside products MB\tshared KiB\tattend registers\tkeys\tspilled B\tflops ms\t"+
		"moved ms\tcompile s\t")
	runs := model.RunsOf(cfg.Layers, options.Group)
	for _, b := range options.Buckets {
		step, layer := stepAhead(cfg, options, b, costs), costs[runs.Layer(b)]
		attention, layers := target.Native, float64(runs.Group)
		if options.Kernels.Any() {
			attention = target.Fused // a kernel computes what its rows see of themselves, which is little
		}
		work := model.Costs{Config: cfg, Attention: attention, Weights: app.DTypeOf(options.DType)}
		flops := work.Work(b, b.Context).Flops()
		fmt.Fprintf(table, "%s\t%.0f\t%.2f\t%.0f\t%.0f\t%.3g\t%.3g\t%.1f\t%.1f\t%.0f\t%s\t%.2f\t"+
			"%.2f\t%.1f\t\n", bucketText(b), flops/1e9, step.traffic/1e9,
			float64(step.ArgumentBytes)/1e6, float64(step.TempBytes)/1e6, float64(layer.kernels.All)/layers,
			float64(layer.kernels.Products)/layers, layer.traffic/1e6/layers,
			layer.kernels.OtherBytes/1e6/layers, float64(options.Kernels.Of(cfg).SharedMemory(b))/1024,
			usesText(layer.uses), flops/device.Target.Peak*1e3, step.traffic/device.Target.Bandwidth*1e3,
			step.took.Seconds())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "memory: %s\n", device.Memory(cfg, options))
	return err
}

// usesText returns three columns: registers of both kernels, and what they spill; lines
// if that is not known.
func usesText(uses map[string]ptx.Use) string {
	attend, ok := uses[attendKernel]
	if !ok {
		return "-\t-\t-"
	}
	keys := uses[keysKernel]
	return fmt.Sprintf("%d\t%d\t%d", attend.Registers, keys.Registers, attend.Spilled+keys.Spilled)
}
