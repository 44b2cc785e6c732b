package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"scored/bench"
)

// benchCommand runs `scored bench`.
func benchCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("scored bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	o := bench.Options{Labels: []int{9454, 2753}}
	f.StringVar(&o.URL, "url", "http://127.0.0.1:30000", "server to load")
	f.StringVar(&o.APIKey, "api-key", "", "its key")
	f.StringVar(&o.Model, "model", "Qwen/Qwen3-0.6B", "model named in each request")
	f.IntVar(&o.Clients, "clients", 0, "closed loop of so many clients (default: the workload's)")
	f.Float64Var(&o.Rate, "rate", 0, "open loop of so many requests a second, at random times")
	f.IntVar(&o.MaxInFlight, "max-in-flight", 10_000, "open loop: requests beyond so many unanswered ones are not sent")
	f.DurationVar(&o.Warmup, "warmup", 0, "load that is not counted, first")
	f.DurationVar(&o.Duration, "duration", 20*time.Second, "how long to send")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "of one request")
	f.Float64Var(&o.CancelShare, "cancel-share", 0, "share of the requests that their client gives up at a random time")
	f.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "of prompts and times (default: the clock)")
	f.BoolVar(&o.Prompts.Warm, "warm", false, "take queries from a small pool, which a server may keep; else each is new")
	f.Func("labels", "token ids, comma separated (default 9454,2753)", func(text string) (err error) { o.Labels, err = ints(text); return err })
	prompts := f.String("prompts", "text", "text, ids or repeated (one token over and over)")
	workload := f.String("workload", "w2", "w1, w1c, w2, w3, w3s, w4, or a mix such as w1=8,w2=4,w3s=1")
	shape := f.String("shape", "", "QUERYxITEMxITEMS in tokens, instead of a workload")
	asJSON := f.Bool("json", false, "print JSON")
	verify := f.Int("verify", 0, "first send so many items of a request alone, and want the same scores")
	tolerance := f.Float64("tolerance", 1e-4, "of --verify")
	allow := f.Bool("allow-errors", false, "end with status 0 whatever was answered")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if f.NArg() > 0 {
		return usageError{fmt.Errorf("argument %q is not a flag", f.Arg(0))}
	}
	if err := chooseLoad(&o, *workload, *shape, *prompts); err != nil {
		return usageError{err}
	}
	if *verify > 0 {
		if err := bench.Verify(ctx, o, *verify, *tolerance); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(report)
	} else {
		err = report.Write(stdout)
	}
	if err == nil && report.Failed() && !*allow {
		err = errors.New("some requests got no right answer; --allow-errors ignores that")
	}
	return err
}

// chooseLoad fills in what the words of the command line mean.
func chooseLoad(o *bench.Options, workload, shape, prompts string) (err error) {
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Prompts.Kind = bench.Kind(prompts); prompts != "text" && prompts != "ids" && prompts != "repeated" {
		return fmt.Errorf("flag --prompts is %q; use text, ids or repeated", prompts)
	}
	if shape != "" {
		w := bench.Workload{Name: shape, Clients: 1}
		if n, _ := fmt.Sscanf(shape, "%dx%dx%d", &w.Query, &w.Item, &w.Items); n != 3 || w.Query < 0 || min(w.Item, w.Items) < 1 {
			return fmt.Errorf("flag --shape is %q; it must be QUERYxITEMxITEMS, e.g. 120x180x10", shape)
		}
		o.Mix = []bench.Share{{Workload: w, Weight: 1}}
	} else if o.Mix, err = bench.ParseMix(workload); err != nil {
		return err
	}
	if o.Clients == 0 {
		o.Clients = o.Mix[0].Workload.Clients
	}
	return nil
}

func ints(text string) (all []int, err error) {
	err = json.Unmarshal([]byte("["+text+"]"), &all)
	return all, err
}
