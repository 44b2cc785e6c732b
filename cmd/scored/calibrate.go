package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"scored/app"
	"scored/model"
	"scored/target"
)

const calibrateUsage = `usage: scored calibrate --model-path MODEL --out FILE [flags]

Times a few step shapes on the device at hand and writes what steps take there, which
"scored serve --price FILE" forms steps by. It takes under a minute for a model of 0.6 billion
parameters on two cores; let nothing else run meanwhile. Flags that serve has too must be the same
there.

`

// calibrate measures a price and writes it. The table of what was measured goes to
// stdout.
func calibrate(ctx context.Context, args []string, env lookup, stdout,
	stderr io.Writer) (err error) {
	c, out, err := parseCalibrate(args, env, stderr)
	if err != nil {
		return err
	}
	start := app.NewStart(c.checked)
	defer func() { err = start.End(err) }()
	found, err := start.FindModel(ctx)
	if err != nil {
		return err
	}
	plugin, splicer, err := start.OpenPlugin(ctx, found.Config)
	if err != nil {
		return err
	}
	options, _, err := start.Device.EngineOptions(found.Config)
	if err != nil {
		return err
	}
	t := start.Device.Target
	p := app.Price{Attention: app.AttentionOf(options), DType: app.DTypeOf(options.DType)}
	if kinds := plugin.Info().Devices; len(kinds) > 0 {
		p.Device = kinds[0]
	}
	// The engine has the sampled buckets alone, so that fewer programs are compiled, and
	// there is neither tokenizer nor scorer: steps are made by hand.
	steps := sampleSteps(options.Buckets)
	options.Splicer, options.Buckets = splicer, bucketsOf(steps)
	options.Progress = start.Progress(found)
	engine, err := model.New(ctx, plugin.Backend(), found.Config, found.Weights, options)
	if err != nil {
		return start.Device.NoMemory(found.Config, options, err)
	}
	start.OnClose("engine", engine.Close)
	timing := &timing{steps: steps, samples: newSamples(found.Config, t, p, steps)}
	start.Begin("timing", timing.progress)
	if err := timing.run(ctx, engine); err != nil {
		return err
	}
	p.Price = target.Fit(t.Price(p.Attention, p.DType), timing.samples)
	if err := reportPrice(stdout, steps, timing.samples, p.Price); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(out, append(data, '\n'), 0o644)
	}
	return err
}

// parseCalibrate reads the command line of scored calibrate. out is where the price goes;
// a file can be made there.
func parseCalibrate(args []string, env lookup,
	stderr io.Writer) (c *config, out string, err error) {
	c = newConfig()
	line := newCommandLine("scored calibrate", calibrateUsage)
	line.flags.StringVar(&out, "out", "", "file that takes the price (required)")
	c.modelFlags(line.flags)
	c.engineFlags(line.flags)
	c.logLevelFlag(line.flags)
	if err := line.readFlags(args, env, stderr); err != nil {
		return nil, "", err
	}
	if err = c.readVariables(env); err == nil && out == "" {
		err = errors.New("flag --out is missing; name the file that takes the price")
	}
	if err == nil {
		err = c.check(stderr)
	}
	if err == nil {
		if err = checkWritable(out); err != nil {
			err = fmt.Errorf("flag --out: %w; name a file in a folder that may be written to", err)
		}
	}
	if err != nil {
		return nil, "", app.UsageError{Err: err}
	}
	return c, out, nil
}

// checkWritable fails where a file could not be made at path. Commands that take minutes
// must know that before they begin.
func checkWritable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".scored-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// reportPrice prints a line for each step, with the measured time, the predicted one and
// how far that is off, and then the price.
func reportPrice(w io.Writer, steps []sampledStep, samples []target.Sample, p target.Price) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "shape\tkeys\tmeasured ms\tpredicted ms\toff\t")
	worst := 0.0
	for i, s := range samples {
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%+.1f %%\t\n", bucketText(steps[i].bucket), steps[i].keys,
			1e3*s.Seconds, p.Step(s.Work).Seconds()*1e3, 100*p.Off(s))
		worst = max(worst, p.Off(s), -p.Off(s))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "idle %.3f ms, linear layers %.1f GFLOP/s, weights %.1f GB/s, "+
		"attention %.1f GFLOP/s; at most %.1f %% off\n", 1e3*p.Idle, p.Flops/1e9, p.Bytes/1e9,
		p.Attention/1e9, 100*worst)
	return err
}
