package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"scored/model"
	"scored/score"
	"scored/target"
)

const calibrateUsage = `usage: scored calibrate --model-path MODEL --out FILE [flags]

Times a few step shapes on the device at hand and writes what steps take there, which "scored serve --price FILE" forms
steps by. It takes under a minute for a model of 0.6 billion parameters on two cores; let nothing else run meanwhile. Flags that
serve has too must be the same there.

`

// calibrate measures a price.
func calibrate(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) (err error) {
	c, out, err := parseCalibrate(args, env, stderr)
	if err != nil {
		return err
	}
	log := c.logger(stderr, "")
	var opened closers
	defer func() { err = errors.Join(err, opened.close()) }()
	progress := newProgress(log, progressEvery)
	defer progress.close()
	found, err := c.findModel(ctx, log, progress)
	if err != nil {
		return err
	}
	opened.add("weights", found.weights.Close)
	plugin, splicer, err := c.openPlugin(ctx, found.config, log, stderr)
	if err != nil {
		return err
	}
	opened.add("plugin", plugin.Close)
	options, _, err := c.engineOptions(found.config)
	if err != nil {
		return err
	}
	t := c.target()
	p := priceFile{Attention: target.Native, DType: dtypeName(options.DType)}
	if options.Kernels.Any() {
		p.Attention = target.Fused
	}
	if kinds := plugin.Info().Devices; len(kinds) > 0 {
		p.Device = kinds[0]
	}
	options.Splicer, options.Buckets = splicer, sampleBuckets(options.Buckets)
	options.Progress = progress.engine(found.generated, 0, 1)
	engine, err := model.New(ctx, plugin.Backend(), found.config, found.weights, options)
	if err != nil {
		return err
	}
	opened.add("engine", engine.Close)
	samples, err := timeBuckets(ctx, engine, found.config, p)
	if err != nil {
		return err
	}
	p.Price = target.Fit(t.Price(p.Attention, p.DType), samples)
	if err := reportPrice(stdout, options.Buckets, samples, p.Price); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(out, append(data, '\n'), 0o644)
	}
	return err
}

func parseCalibrate(args []string, env lookup, stderr io.Writer) (c *config, out string, err error) {
	c = &config{Replicas: 1}
	f := flag.NewFlagSet("scored calibrate", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, calibrateUsage)
		f.PrintDefaults()
	}
	f.StringVar(&out, "out", "", "file that takes the price (required)")
	c.modelFlags(f)
	c.engineFlags(f)
	f.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
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
		err = c.checkTogether()
	}
	if err != nil {
		return nil, "", usageError{err}
	}
	return c, out, nil
}

// What is timed: prefixes up to longestSampled, since a longer one takes long to compute and tells no more, and steps that
// the target's row predicts to take up to longestStep, or slowerSteps times the shortest where the model is that large.
const (
	longestSampled = 2048
	longestStep    = 5 * time.Second / 2
	slowerSteps    = 8
)

// sampleBuckets chooses shapes that tell the coefficients apart: of few and of many tokens, without a prefix, with the
// shortest and with the longest that is sampled. They come with what the row predicts.
func sampleBuckets(all []score.Bucket) (some []score.Bucket) {
	byCost := func(a, b score.Bucket) int { return cmp.Compare(a.Cost, b.Cost) }
	most := max(longestStep, slowerSteps*slices.MinFunc(all, byCost).Cost)
	sizes := map[int][]score.Bucket{}
	for _, b := range all {
		if b.Cost <= most && (b.Prefix <= longestSampled || len(sizes) == 0) {
			sizes[b.Prefix] = append(sizes[b.Prefix], b)
		}
	}
	prefixes := slices.Sorted(maps.Keys(sizes))
	for i, prefix := range prefixes {
		if i > 1 && i < len(prefixes)-1 {
			continue
		}
		of := sizes[prefix]
		slices.SortStableFunc(of, func(a, b score.Bucket) int { return cmp.Compare(a.Tokens, b.Tokens) })
		of = slices.CompactFunc(of, func(a, b score.Bucket) bool { return a.Tokens == b.Tokens })
		for n := range sampled {
			if b := of[n*(len(of)-1)/(sampled-1)]; !slices.Contains(some, b) {
				some = append(some, b)
			}
		}
	}
	return some
}

// sampled is how many shapes of a prefix are timed.
const sampled = 3

// Shapes are timed in rounds, at least two: the first of them warms up, and a disturbance does not meet one shape alone.
const (
	timedRounds = 5
	timedFor    = 12 * time.Second // no round begins later
)

// timeBuckets runs full steps of the engine's buckets, and keeps the shortest time of each.
func timeBuckets(ctx context.Context, engine *model.Engine, cfg model.Config, p priceFile) (samples []target.Sample, err error) {
	var steps []*score.Step
	prefixes := map[int]*score.Prefix{}
	for _, b := range engine.Buckets() {
		if b.Prefix > 0 && prefixes[b.Prefix] == nil {
			if prefixes[b.Prefix], err = computePrefix(engine, b, p.Attention); err != nil {
				return nil, err
			}
		}
		steps = append(steps, fullStep(b, prefixes[b.Prefix]))
		samples = append(samples, target.Sample{Work: cfg.Work(b, p.Attention, p.DType), Seconds: math.Inf(1)})
	}
	begun := time.Now()
	for round := 0; round < 2 || round < timedRounds && time.Since(begun) < timedFor; round++ {
		for i, step := range steps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := time.Now()
			if _, err := engine.Run(step); err != nil {
				return nil, fmt.Errorf("step of %s: %w", bucketText(step.Bucket), err)
			}
			samples[i].Seconds = min(samples[i].Seconds, time.Since(start).Seconds())
		}
	}
	return samples, nil
}

// fullStep is a step that fills the bucket with rows on a prefix that is on the device; nil: none.
func fullStep(b score.Bucket, prefix *score.Prefix) *score.Step {
	step := &score.Step{Bucket: b, Prefix: prefix, Base: prefix}
	if prefix != nil {
		step.Kept = len(prefix.Tokens)
	}
	length := min(b.Length, b.Tokens)
	for free := b.Tokens; free >= length && len(step.Rows) < b.Rows; free -= length {
		step.Rows = append(step.Rows, &score.Row{Tokens: make([]int32, step.Kept+length), Shared: step.Kept, Labels: []int32{0}, Relative: true})
	}
	return step
}

// computePrefix puts a prefix for the bucket on the device, in slices as large as the bucket. Native attention pays for a
// prefix's array however little of it is seen, so that one token will do; kernels stop at what is seen.
func computePrefix(engine *model.Engine, b score.Bucket, attention target.Attention) (base *score.Prefix, err error) {
	tokens := make([]int32, 1)
	if attention == target.Fused {
		tokens = make([]int32, b.Prefix)
	}
	for kept := 0; kept < len(tokens); {
		more := min(b.Tokens, len(tokens)-kept)
		prefix := &score.Prefix{Tokens: tokens[:kept+more], Size: b.Prefix}
		if _, err := engine.Run(&score.Step{Bucket: b, Prefix: prefix, Base: base, Kept: kept, New: more}); err != nil {
			return nil, fmt.Errorf("prefix of %s: %w", bucketText(b), err)
		}
		base, kept = prefix, kept+more
	}
	return base, nil
}

// reportPrice prints the fit and how far it is off each shape.
func reportPrice(w io.Writer, buckets []score.Bucket, samples []target.Sample, p target.Price) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "shape\tmeasured ms\tpredicted ms\toff\t")
	worst := 0.0
	for i, s := range samples {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%+.1f %%\t\n", bucketText(buckets[i]), 1e3*s.Seconds, p.Step(s.Work).Seconds()*1e3, 100*p.Off(s))
		worst = max(worst, p.Off(s), -p.Off(s))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "idle %.3f ms, linear layers %.1f GFLOP/s, weights %.1f GB/s, attention %.1f GFLOP/s; at most %.1f %% off\n",
		1e3*p.Idle, p.Flops/1e9, p.Bytes/1e9, p.Attention/1e9, 100*worst)
	return err
}
