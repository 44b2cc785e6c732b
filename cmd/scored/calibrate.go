package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
	"scored/target"
)

const calibrateUsage = `usage: scored calibrate --model-path MODEL --out FILE [flags]

Times a few step shapes on the device at hand and writes what steps take there, which "scored serve --price FILE" forms
steps by. It takes under a minute for a model of 0.6 billion parameters on two cores; let nothing else run meanwhile. Flags that
serve has too must be the same there.

`

// calibrate measures a price.
func calibrate(ctx context.Context, args []string, env lookup, stdout,
	stderr io.Writer) (err error) {
	c, out, err := parseCalibrate(args, env, stderr)
	if err != nil {
		return err
	}
	if err := mayHold(out); err != nil {
		return app.UsageError{Err: err}
	}
	start, err := app.NewStart(c.options(stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, start.Close()) }()
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
	steps := sampleSteps(options.Buckets)
	options.Splicer, options.Buckets = splicer, bucketsOf(steps)
	options.Progress = start.Progress(found)
	engine, err := model.New(ctx, plugin.Backend(), found.Config, found.Weights, options)
	if err != nil {
		return start.Device.NoMemory(found.Config, options, err)
	}
	start.OnClose("engine", engine.Close)
	samples, err := timeSteps(ctx, engine, found.Config, t, p, steps)
	if err != nil {
		return err
	}
	p.Price = target.Fit(t.Price(p.Attention, p.DType), samples)
	if err := reportPrice(stdout, steps, samples, p.Price); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(out, append(data, '\n'), 0o644)
	}
	return err
}

// mayHold fails where a file could not be made beside path, which is known before anything is
// timed.
func mayHold(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".scored-*")
	if err != nil {
		return fmt.Errorf("flag --out: %w; name a file in a folder that may be written to", err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

func parseCalibrate(args []string, env lookup,
	stderr io.Writer) (c *config, out string, err error) {
	c = newConfig()
	f := flag.NewFlagSet("scored calibrate", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, calibrateUsage)
		f.PrintDefaults()
	}
	f.StringVar(&out, "out", "", "file that takes the price (required)")
	c.modelFlags(f)
	c.engineFlags(f)
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	if err := parseFlags(f, args, env); err != nil {
		return nil, "", err
	}
	if err = c.readVariables(env); err == nil && out == "" {
		err = errors.New("flag --out is missing; name the file that takes the price")
	}
	if err == nil && c.ModelPath == "" {
		err = errors.New("flag --model-path is missing; name a folder or hub id")
	}
	if err == nil {
		err = c.checkValues("LoadFormat", "DType", "Device", "Attention", "LogLevel")
	}
	if err == nil {
		err = c.CheckTogether()
	}
	if err != nil {
		return nil, "", app.UsageError{Err: err}
	}
	return c, out, nil
}

// What is timed: contexts up to longestSampled, since a longer one tells no more, and
// steps that the target's row predicts to take up to longestStep, or slowerSteps times
// the shortest where the model is that large.
const (
	longestSampled = 2048
	longestStep    = 5 * time.Second / 2
	slowerSteps    = 8
)

// sampledStep is a step to be timed: a full one of the bucket, on a context of so many
// keys.
type sampledStep struct {
	bucket score.Bucket
	keys   int
}

// sampleSteps chooses steps that tell the coefficients apart: of few and of many
// tokens, without a context, with the shortest and with the longest that is sampled.
// Buckets come with what the row predicts.
func sampleSteps(all []score.Bucket) (some []sampledStep) {
	byCost := func(a, b score.Bucket) int { return cmp.Compare(a.Cost, b.Cost) }
	most := max(longestStep, slowerSteps*slices.MinFunc(all, byCost).Cost)
	for _, keys := range []int{0, score.PageTokens, longestSampled} {
		step := func(b score.Bucket) sampledStep { return sampledStep{b, min(keys, b.Context)} }
		var quick []score.Bucket
		for _, b := range all {
			if (b.Context > 0) == (keys > 0) && fullStep(step(b)).Cost() <= most {
				quick = append(quick, b)
			}
		}
		for _, b := range spread(quick) {
			if one := step(b); !slices.Contains(some, one) {
				some = append(some, one)
			}
		}
	}
	return some
}

// sampled is how many shapes of a kind are timed.
const sampled = 3

// spread picks the shapes of the fewest and of the most tokens, and those between.
func spread(of []score.Bucket) (some []score.Bucket) {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b score.Bucket) int {
		return cmp.Or(cmp.Compare(a.Tokens, b.Tokens), cmp.Compare(a.Context, b.Context))
	})
	of = slices.CompactFunc(of, func(a, b score.Bucket) bool { return a.Tokens == b.Tokens })
	for n := range sampled {
		if len(of) == 0 {
			break
		}
		if b := of[n*(len(of)-1)/(sampled-1)]; !slices.Contains(some, b) {
			some = append(some, b)
		}
	}
	return some
}

// Shapes are timed in rounds, at least two: the first of them warms up, and a
// disturbance does not meet one shape alone.
const (
	timedRounds = 5
	timedFor    = 12 * time.Second // no round begins later
)

// timeSteps runs the steps, and keeps the shortest time of each.
func timeSteps(ctx context.Context, engine *model.Engine, cfg checkpoint.Config, t target.Target,
	p app.Price, all []sampledStep) (samples []target.Sample, err error) {
	for _, one := range all {
		keys := one.keys
		if p.Attention == target.Native && t.HostLoops {
			keys = one.bucket.Context
		}
		work := model.Costs{Config: cfg, Attention: p.Attention, Weights: p.DType}
		samples = append(samples, target.Sample{Work: work.Work(one.bucket, keys), Seconds: math.Inf(1)})
	}
	begun := time.Now()
	for round := 0; round < 2 || round < timedRounds && time.Since(begun) < timedFor; round++ {
		for i, one := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := runStep(engine, fullStep(one)); err != nil {
				return nil, fmt.Errorf("step of %s: %w", bucketText(one.bucket), err)
			}
			samples[i].Seconds = min(samples[i].Seconds, time.Since(start).Seconds())
		}
	}
	return samples, nil
}

func runStep(engine *model.Engine, step *score.Step) error {
	pending, err := engine.Run(step)
	if err == nil {
		_, err = pending.Wait()
	}
	return err
}

// fullStep fills the bucket with rows on a prefix. What the cache holds of it was never
// computed, which takes no other time.
func fullStep(one sampledStep) *score.Step {
	b := one.bucket
	step := &score.Step{Bucket: b}
	if one.keys > 0 {
		slots := make([]int32, one.keys)
		for i := range slots {
			slots[i] = int32(i)
		}
		step.Prefixes = []score.Prefix{{Slots: slots}}
	}
	length := min(b.Length, b.Tokens)
	for free := b.Tokens; free >= length && len(step.Rows) < b.Rows; free -= length {
		step.Rows = append(step.Rows, score.Row{Tokens: make([]int32, one.keys+length), Shared: one.keys,
			Labels: []int32{0}, Relative: true})
	}
	return step
}

// bucketsOf are the steps' buckets, each once.
func bucketsOf(steps []sampledStep) (buckets []score.Bucket) {
	for _, one := range steps {
		if !slices.Contains(buckets, one.bucket) {
			buckets = append(buckets, one.bucket)
		}
	}
	return buckets
}

// reportPrice prints the fit and how far it is off each shape.
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
