package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
)

const compileUsage = `usage: scored compile --model-path MODEL --out DIR [flags]

Compiles every step shape for a TPU on a machine that has none, tells what each costs there, and
fills DIR, which "scored serve --device tpu --compile-cache DIR" loads from. Flags that serve has
too must be the same there.
For an NVIDIA GPU, --topology cuda:h100, it tells what each needs there: without the card no matrix
product is tuned for it, so nothing is kept, and --out is left out.
MODEL may be a folder with nothing but config.json: no weight is read.

`

// compile compiles the programs of every bucket ahead of time. What each program costs
// goes to stderr as it is compiled, the table of the buckets to stdout.
func compile(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) error {
	c, err := parseCompile(args, env, stderr)
	if err != nil {
		return err
	}
	start := c.start()
	defer start.Close() // nothing is open that could fail to close
	cfg, err := start.Shape(ctx)
	if err != nil {
		return err
	}
	options, _, err := start.Device.EngineOptions(cfg)
	if err != nil {
		return app.UsageError{Err: err}
	}
	programs, err := capture(ctx, start, cfg, options)
	if err != nil {
		return err
	}
	// The compiler is opened last: with it the process pretends to be on another machine.
	topology, err := c.openCompiler(ctx, start)
	if err != nil {
		return err
	}
	defer topology.Close()
	costs, err := compileAll(ctx, topology, programs, stderr)
	if err != nil && options.Kernels.Any() {
		err = fmt.Errorf("%w; --attention-backend native has no kernels to compile", err)
	}
	if err != nil {
		return err
	}
	if c.Device == "cuda" {
		return reportCard(stdout, start.Device, cfg, options, costs)
	}
	steps, err := reportAhead(stdout, start.Device.Target, cfg, options, costs)
	if err != nil || c.loads == nil {
		return err
	}
	fmt.Fprintln(stdout)
	return reportLoads(stdout, c.loads, steps)
}

// compileAll compiles the programs and returns what one run of each costs, by its name.
func compileAll(ctx context.Context, topology *pjrt.Topology, programs []captured,
	stderr io.Writer) (map[string]programCost, error) {
	costs := map[string]programCost{}
	for i, p := range programs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		one, err := topology.Compile(p.text, p.options)
		if err != nil {
			return nil, err
		}
		costs[one.Name] = programCost{one.Cost, one.Traffic, one.Cycles, one.Kernels, one.Uses,
			one.Took}
		fmt.Fprintf(stderr, "%d/%d %s in %.1f s: %.2f GFLOP, %.1f MB accessed, %.1f MB of main memory, "+
			"%.1f MB temporary, %.0f cycles\n", i+1, len(programs), one.Name, one.Took.Seconds(),
			one.Cost.Flops/1e9, one.Cost.BytesAccessed/1e6, one.Traffic/1e6, float64(one.Cost.TempBytes)/1e6,
			one.Cycles)
	}
	return costs, nil
}

// captured is a program as the compiler takes it: its text in StableHLO, and the options
// of its compilation.
type captured struct{ text, options []byte }

// capture builds the programs that an engine with these options would have compiled. They
// must be equal to the byte: the compile cache is keyed by text and options. The plugin
// that takes them is the CPU's, which needs no device: what GoMLX writes is the same for
// all plugins.
func capture(ctx context.Context, start *app.Start, cfg checkpoint.Config,
	options model.Options) (programs []captured, err error) {
	path, err := wheel.Resolve(ctx, "cpu", start.FetchOptions())
	if err != nil {
		return nil, err
	}
	options.Splicer = model.NewSplicer(cfg)
	plugin, err := pjrt.Open(path, pjrt.Options{CaptureOnly: true,
		Compile: start.Device.Target.Options, Rewrite: options.Splicer.Rewrite,
		Capture: func(_ string, text, options []byte) {
			programs = append(programs, captured{slices.Clone(text), slices.Clone(options)})
		}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plugin.Close()) }()
	return programs, model.Compile(ctx, plugin.Backend(), cfg, options)
}
