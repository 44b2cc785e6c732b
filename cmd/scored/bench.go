package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scored/app"
	"scored/bench"
)

// benchFlags is the command line of scored bench: the Config of the benchmark, and what
// becomes of it. Mix follows from workload, mix and custom; Warm from cache.
type benchFlags struct {
	bench.Config
	workload, mix, cache, labels string
	custom                       bench.Workload // all 0: none
	json, allowErrors            bool
}

// benchCommand loads a server and prints what it measured to stdout. Failed requests and
// wrong answers are an error after the report, unless they are allowed.
func benchCommand(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) error {
	b, err := parseBench(args, env, stderr)
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, b.Config)
	if err != nil {
		return err
	}
	if b.json {
		err = json.NewEncoder(stdout).Encode(report)
	} else {
		err = report.WriteText(stdout)
	}
	if err != nil || b.allowErrors {
		return err
	}
	return report.Err()
}

const benchUsage = `usage: scored bench --url URL [flags]

Loads a server of POST /v1/score, checks every answer, and reports how long answers took and how
many items a second they make. The exit status is 1 if an answer was wrong or a request failed.

`

// parseBench reads the command line of scored bench.
func parseBench(args []string, env lookup, stderr io.Writer) (*benchFlags, error) {
	b := &benchFlags{}
	line := newCommandLine("scored bench", benchUsage)
	b.flags(line.flags)
	if err := line.readFlags(args, env, stderr); err != nil {
		return nil, err
	}
	if b.Seed == 0 { // so that no two runs find their prompts in a server's cache
		b.Seed = uint64(time.Now().UnixNano())
	}
	for _, read := range []func() error{b.check, b.chooseMix, b.readLabels} {
		if err := read(); err != nil {
			return nil, app.UsageError{Err: err}
		}
	}
	return b, nil
}

// flags defines the flags over the fields.
func (b *benchFlags) flags(f *flag.FlagSet) {
	b.promptFlags(f)
	b.loadFlags(f)
	b.checkFlags(f)
	f.StringVar(&b.URL, "url", "http://127.0.0.1:30000",
		"server, without /v1/score; any that speaks it")
	f.StringVar(&b.APIKey, "api-key", "", "key of the server")
	f.StringVar(&b.Model, "model", "Qwen/Qwen3-0.6B", "model that requests name")
	f.DurationVar(&b.Timeout, "timeout", 2*time.Minute, "longest wait for an answer")
	f.BoolVar(&b.json, "json", false, "print one JSON object instead of a table")
	f.BoolVar(&b.allowErrors, "allow-errors", false,
		"exit with 0 in spite of errors and wrong answers")
}

// promptFlags defines what requests hold. A workload by name can be compared with others'
// figures; an own one replaces it.
func (b *benchFlags) promptFlags(f *flag.FlagSet) {
	f.StringVar(&b.workload, "workload", "w2", "w1: 1 item of 300 tokens; w1c: of 256; w2: 120 "+
		"shared + 180, 10 items; w3: 2000+20, 500; w3s: 500+20, 50; w4: 1000+26, 80, 2 clients; "+
		"or mixed")
	f.StringVar(&b.mix, "mix", bench.DefaultMix, "weights of mixed")
	f.IntVar(&b.custom.QueryTokens, "query-tokens", 0, "own workload: tokens that a request's items "+
		"share")
	f.IntVar(&b.custom.ItemTokens, "item-tokens", 0, "own workload: tokens of an item")
	f.IntVar(&b.custom.Items, "items", 0, "own workload: items of a request")
	f.StringVar(&b.cache, "cache", "cold", "cold: every query is new; warm: queries repeat from "+
		"a pool")
	f.IntVar(&b.Pool, "pool", 8, "queries of a warm cache")
	f.Uint64Var(&b.Seed, "seed", 0, "of prompts and arrivals; a server that saw it may have the "+
		"prompts cached (default: the clock)")
	f.BoolVar(&b.TokenIDs, "token-ids", false, "send token ids, of exact counts, instead of text")
	f.BoolVar(&b.RepeatedToken, "repeated-token", false,
		"send one token id over and over, as sglang's bench_score does; a prefix cache makes it easy")
	f.IntVar(&b.Vocab, "vocab", 151_643, "token ids are below it")
	f.StringVar(&b.labels, "labels", "9454,2753", "label token ids")
	f.BoolVar(&b.Softmax, "softmax", true, "normalise over the labels")
}

// loadFlags defines when requests are sent: in a closed loop, where clients wait for
// their answers, or in an open one, where requests come at their own times.
func (b *benchFlags) loadFlags(f *flag.FlagSet) {
	f.IntVar(&b.Clients, "clients", 0, "closed loop: clients that each await their answer (default: "+
		"the workload's)")
	f.Float64Var(&b.Rate, "rate", 0, "open loop: requests/s at Poisson arrivals, whose latency "+
		"counts from the arrival")
	f.IntVar(&b.MaxInFlight, "max-in-flight", 1024,
		"open loop: an arrival that finds so many unanswered is counted and not sent")
	f.Float64Var(&b.CancelShare, "cancel-share", 0,
		"share of requests that are given up at a random time")
	f.DurationVar(&b.Duration, "duration", 30*time.Second, "time in which requests start")
	f.DurationVar(&b.Warmup, "warmup", 5*time.Second, "time of the same load before it")
}

// checkFlags defines how answers are checked beside their form.
func (b *benchFlags) checkFlags(f *flag.FlagSet) {
	f.BoolVar(&b.Verify, "verify", false, "first score some items alone too; they must agree with "+
		"their request")
	f.Float64Var(&b.Tolerance, "tolerance", 1e-4, "difference of a score that --verify allows; "+
		"bfloat16 products need more")
}

// check holds the values to their bounds, and sets Warm.
func (b *benchFlags) check() error {
	address, err := url.Parse(b.URL)
	b.Warm = b.cache == "warm"
	for _, fault := range []struct {
		found bool
		text  string
	}{
		{err != nil || address.Host == "", fmt.Sprintf("flag --url is %q; give it as http://HOST:PORT",
			b.URL)},
		{b.cache != "cold" && b.cache != "warm", fmt.Sprintf("flag --cache is %q; use cold or warm",
			b.cache)},
		{b.Clients < 0 || b.Rate < 0 || b.MaxInFlight < 1 || b.Pool < 1 || b.Vocab < 1,
			"flags --clients and --rate must not be negative, --max-in-flight, --pool and --vocab at " +
				"least 1"},
		{b.Clients > 0 && b.Rate > 0, "flags --clients and --rate exclude each other; a closed loop " +
			"has clients, an open one a rate"},
		{!(b.CancelShare >= 0 && b.CancelShare <= 1), // so that NaN is refused
			fmt.Sprintf("flag --cancel-share is %v; it must be from 0 to 1", b.CancelShare)},
		{b.Duration <= 0 || b.Warmup < 0 || b.Timeout <= 0,
			"flags --duration and --timeout must be above 0, --warmup not below"},
	} {
		if fault.found {
			return errors.New(fault.text)
		}
	}
	return nil
}

// chooseMix sets Mix: to the own workload if there is one, else by --workload.
func (b *benchFlags) chooseMix() (err error) {
	if w := b.custom; w != (bench.Workload{}) {
		if w.QueryTokens < 0 || w.ItemTokens < 1 || w.Items < 1 {
			return errors.New("an own workload needs --item-tokens and --items of at least 1, and " +
				"--query-tokens of at least 0")
		}
		w.Name, w.Clients = "own", 1
		b.Mix = []bench.Share{{Workload: w, Weight: 1}}
		return nil
	}
	mix := b.workload
	if mix == "mixed" {
		mix = b.mix
	}
	b.Mix, err = bench.ParseMix(mix)
	return err
}

// readLabels sets Labels.
func (b *benchFlags) readLabels() error {
	for text := range strings.SplitSeq(b.labels, ",") {
		label, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("flag --labels holds %q; give token ids such as 9454,2753", text)
		}
		b.Labels = append(b.Labels, label)
	}
	return nil
}
