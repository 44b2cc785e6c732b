package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/target"
)

const compileUsage = `usage: scored compile --model-path MODEL --out DIR [flags]

Compiles every step shape for a TPU on a machine that has none, tells what each costs there, and fills DIR, which
"scored serve --device tpu --compile-cache DIR" loads from. Flags that serve has too must be the same there.
For an NVIDIA GPU, --topology cuda:h100, it tells what each needs there: without the card no matrix product is tuned for
it, so nothing is kept, and --out is left out.
MODEL may be a folder with nothing but config.json: no weight is read.

`

// compileConfig is what `scored compile` can be told.
type compileConfig struct {
	*config
	topology  string
	row       *target.Target // of the topology's device; nil: not known
	out       string
	workloads string
	loads     []load // those of workloads
}

// compile compiles the programs of every bucket ahead of time.
func compile(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) error {
	c, err := parseCompile(args, env, stderr)
	if err != nil {
		return err
	}
	start, err := c.start(stderr)
	if err != nil {
		return err
	}
	defer start.Close()
	cfg, err := start.Shape(ctx)
	if err != nil {
		return err
	}
	options, _, err := start.Device.EngineOptions(cfg)
	if err != nil {
		return err
	}
	programs, err := capture(ctx, start, cfg, options)
	if err != nil {
		return err
	}
	plugin := "tpu"
	if c.Device == "cuda" {
		plugin = wheel.CUDACompiler
	}
	library, err := wheel.Resolve(ctx, cmp.Or(c.Plugin, plugin), start.FetchOptions())
	if err != nil {
		return err
	}
	topology, err := c.openTarget(library)
	if err != nil {
		return err
	}
	defer topology.Close()
	costs := map[string]ahead{}
	for i, p := range programs {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, err := topology.Compile(p.text, p.options)
		if err != nil && options.Kernels.Any() {
			return fmt.Errorf("%w; --attention-backend native has no kernels to compile", err)
		}
		if err != nil {
			return err
		}
		costs[one.Name] = ahead{one.Cost, one.Traffic, one.Cycles, one.Kernels, one.Took}
		fmt.Fprintf(stderr, "%d/%d %s in %.1f s: %.2f GFLOP, %.1f MB accessed, %.1f MB of main memory, "+
			"%.1f MB temporary, %.0f cycles\n", i+1, len(programs), one.Name, one.Took.Seconds(),
			one.Cost.Flops/1e9, one.Cost.BytesAccessed/1e6, one.Traffic/1e6, float64(one.Cost.TempBytes)/1e6,
			one.Cycles)
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

func parseCompile(args []string, env lookup, stderr io.Writer) (*compileConfig, error) {
	c := &compileConfig{config: newConfig()}
	f := flag.NewFlagSet("scored compile", flag.ContinueOnError)
	c.set = f
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, compileUsage)
		f.PrintDefaults()
	}
	f.StringVar(&c.topology, "topology", "v6e:1x1", "what to compile for: a TPU's generation and "+
		"its chips along each axis, or "+strings.Join(pjrt.Cards(), ", "))
	f.StringVar(&c.out, "out", "", "folder of compiled programs, made when missing (required for "+
		"a TPU)")
	f.StringVar(&c.ModelPath, "model-path", "", "Hugging Face id or folder of a Qwen3, Qwen2 or "+
		"Llama model; its weights are not read")
	f.StringVar(&c.LoadFormat, "load-format", c.LoadFormat,
		"dummy takes the Qwen3-0.6B shape where --model-path is no folder")
	f.StringVar(&c.Revision, "revision", c.Revision, "revision of the model on the hub")
	f.StringVar(&c.DownloadDir, "download-dir", "", "where the hub's files are kept (default: the "+
		"hub's own cache)")
	f.StringVar(&c.DType, "dtype", c.DType, "dtype of the weights: auto, float32 or bfloat16")
	f.StringVar(&c.Plugin, "plugin", "", "path of libtpu.so, or of the CUDA plugin (default: found "+
		"or fetched)")
	f.StringVar(&c.PluginDir, "plugin-dir", "", "where plugins are installed (default: the user's "+
		"cache folder)")
	f.BoolVar(&c.Offline, "offline", false, "never use the network")
	c.attentionFlag(f)
	f.IntVar(&c.ContextLength, "context-length", 0, "longest prompt plus one token (default: the "+
		"model's)")
	f.StringVar(&c.Buckets, "buckets", "", "step shapes as TOKENSxROWSxLENGTHxPREFIX, comma "+
		"separated (default: chosen for the model)")
	f.StringVar(&c.workloads, "workloads", "", "requests to tell the items a second of, on a TPU, "+
		"as QUERY+ITEMxITEMS: tokens of the query and of an item, and items, comma separated")
	f.IntVar(&c.ChunkedPrefill, "chunked-prefill-size", c.ChunkedPrefill,
		"most tokens of a step, where it is given: larger shapes are left out; -1 is no bound")
	f.IntVar(&c.MaxPrefill, "max-prefill-tokens", c.MaxPrefill, "the same")
	f.Int64Var(&c.PrefixCacheBytes, "prefix-cache-bytes", c.PrefixCacheBytes,
		"size of the KV cache (-1: 1 GiB, on a GPU half of what weights and steps leave free)")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, app.UsageError{Err: err}
	}
	if err := c.readArguments(f, env); err != nil {
		return nil, app.UsageError{Err: err}
	}
	return c, nil
}

// readArguments finds what to compile for, and holds the flags to it.
func (c *compileConfig) readArguments(f *flag.FlagSet, env lookup) error {
	err := fromEnvironment(f, env)
	if err == nil {
		err = c.readVariables(env)
	}
	card, isCard := pjrt.FindCard(c.topology)
	c.Device = "tpu"
	name, _, _ := strings.Cut(c.topology, ":")
	if isCard == nil {
		c.Device = "cuda"
		if t, ok := target.Find(c.Device, card.Device); ok {
			c.row = &t
		}
	} else if t, ok := target.Named(name); ok && t.Platform == c.Device {
		c.row = &t
	}
	switch {
	case err != nil:
	case strings.HasPrefix(c.topology, "cuda") && isCard != nil:
		err = fmt.Errorf("flag --topology: %w", isCard)
	case c.Device == "cuda" && c.out != "":
		err = errors.New("flag --out is for a TPU: what is compiled without the GPU is not tuned for " +
			"it; leave it out")
	case c.Device == "cuda":
		err = c.checkCompile()
	case f.NArg() > 0:
		err = fmt.Errorf("argument %q is not a flag", f.Arg(0))
	case c.out == "":
		err = errors.New("flag --out is missing; name the folder that takes the compiled programs")
	default:
		err = c.checkCompile()
	}
	return err
}

func (c *compileConfig) checkCompile() error {
	if c.ModelPath == "" && c.LoadFormat != "dummy" {
		return errors.New("flag --model-path is missing; name a folder or hub id, or give " +
			"--load-format dummy")
	}
	if err := c.checkValues("DType", "Attention"); err != nil {
		return err
	}
	var err error
	if c.loads, err = parseLoads(c.workloads); err != nil {
		return err
	}
	_, err = c.ParseBuckets()
	return err
}

// start is one for the device of the topology.
func (c *compileConfig) start(stderr io.Writer) (*app.Start, error) {
	start, err := app.NewStart(c.options(stderr))
	if err == nil && c.row != nil {
		start.Device.Target = *c.row
	}
	return start, err
}

// captured is a program as the compiler takes it.
type captured struct{ text, options []byte }

// capture builds the programs that serve would. The plugin that takes them is the
// CPU's: it has a client here, and what GoMLX writes is the same for all.
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
