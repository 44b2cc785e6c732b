package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"scored/app"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/target"
)

// compileConfig is the command line of scored compile. Device follows from topology.
type compileConfig struct {
	*config
	topology  string         // a TPU's, such as v6e:1x1, or a GPU's, such as cuda:h100
	card      *pjrt.Card     // of the topology; nil: it is a TPU's
	row       *target.Target // of the topology's device; nil: not known
	out       string         // folder of compiled programs; "" for a GPU
	workloads string
	loads     []load // those of workloads
}

// parseCompile reads the command line of scored compile.
func parseCompile(args []string, env lookup, stderr io.Writer) (*compileConfig, error) {
	c := &compileConfig{config: newConfig()}
	line := newCommandLine("scored compile", compileUsage)
	c.flags(line.flags)
	if err := line.readFlags(args, env, stderr); err != nil {
		return nil, err
	}
	err := c.readVariables(env)
	if err == nil {
		err = c.readTopology()
	}
	if err == nil && c.ModelPath == "" {
		if c.LoadFormat != "dummy" {
			err = errors.New("flag --model-path is missing; name a folder or hub id, or give " +
				"--load-format dummy")
		}
		c.ModelPath = "Qwen/Qwen3-0.6B" // whose shape dummy has
	}
	if err == nil {
		c.loads, err = parseLoads(c.workloads)
	}
	if err == nil {
		err = c.check(stderr)
	}
	if err == nil && c.out != "" {
		err = os.MkdirAll(c.out, 0o777) // now, and not after minutes of compiling
		if err == nil {
			err = checkWritable(filepath.Join(c.out, "program"))
		}
		if err != nil {
			err = fmt.Errorf("flag --out: %w; name a folder that may be written to", err)
		}
	}
	if err != nil {
		return nil, app.UsageError{Err: err}
	}
	return c, nil
}

// flags defines compile's own flags, and of serve those that change a program or say
// where files are. A flag that is not here may have any value in serve: the programs are
// found all the same.
func (c *compileConfig) flags(f *flag.FlagSet) {
	c.set = f
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
	f.StringVar(&c.Plugin, "plugin", "", "path of libtpu.so, or of the CUDA plugin (default: found "+
		"or fetched)")
	f.StringVar(&c.PluginDir, "plugin-dir", "", "where plugins are installed (default: the user's "+
		"cache folder)")
	f.BoolVar(&c.Offline, "offline", false, "never use the network")
	c.shapeFlags(f)
	f.StringVar(&c.workloads, "workloads", "", "requests to tell the items a second of, on a TPU, "+
		"as QUERY+ITEMxITEMS: tokens of the query and of an item, and items, comma separated")
	f.IntVar(&c.ChunkedPrefill, "chunked-prefill-size", c.ChunkedPrefill,
		"most tokens of a step, where it is given: larger shapes are left out; -1 is no bound")
	f.Int64Var(&c.PrefixCacheBytes, "prefix-cache-bytes", c.PrefixCacheBytes,
		"size of the KV cache (-1: 1 GiB, on a GPU half of what weights and steps leave free)")
	c.logLevelFlag(f)
}

// readTopology finds what to compile for, and sets Device, card and row. For a TPU --out
// must be given, for a GPU it must not.
func (c *compileConfig) readTopology() error {
	card, err := pjrt.FindCard(c.topology) // fails for a TPU's, too
	switch {
	case err == nil:
		c.Device, c.card = "cuda", &card
		if t, ok := target.Find(c.Device, card.Device); ok {
			c.row = &t
		}
		if c.out != "" {
			return errors.New("flag --out is for a TPU: what is compiled without the GPU is not tuned for " +
				"it; leave it out")
		}
		return nil
	case strings.HasPrefix(c.topology, "cuda"):
		return fmt.Errorf("flag --topology: %w", err)
	case !isTopology(c.topology):
		return fmt.Errorf("flag --topology is %q; it must be a TPU's, such as v6e:2x2, or one of %s",
			c.topology, strings.Join(pjrt.Cards(), ", "))
	case c.out == "":
		return errors.New("flag --out is missing; name the folder that takes the compiled programs")
	}
	c.Device = "tpu"
	name, _, _ := strings.Cut(c.topology, ":")
	if t, ok := target.Named(name); ok && t.Platform == c.Device {
		c.row = &t
	}
	return nil
}

// isTopology reports whether a text has the form of a TPU's topology: a generation, and
// the chips along two or three axes. Whether libtpu knows it shows when it is opened.
func isTopology(text string) bool {
	generation, chips, _ := strings.Cut(text, ":")
	axes := strings.Split(chips, "x")
	for _, axis := range axes {
		if n, err := strconv.Atoi(axis); err != nil || n < 1 {
			return false
		}
	}
	return strings.HasPrefix(generation, "v") && (len(axes) == 2 || len(axes) == 3)
}

// start returns a Start for the device of the topology.
func (c *compileConfig) start() *app.Start {
	start := app.NewStart(c.checked)
	if c.row != nil {
		start.Device.Target = *c.row
	}
	return start
}

// openCompiler opens the compiler of the topology, whose plugin it fetches if need be.
func (c *compileConfig) openCompiler(ctx context.Context,
	start *app.Start) (*pjrt.Topology, error) {
	plugin := "tpu"
	if c.card != nil {
		plugin = wheel.CUDACompiler
	}
	library, err := start.FindPlugin(ctx, plugin)
	if err != nil {
		return nil, err
	}
	if c.card == nil {
		return pjrt.OpenTopology(library, c.topology, c.out)
	}
	return pjrt.OpenCard(library, *c.card, attendKernel, keysKernel)
}
