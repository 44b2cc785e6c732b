package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"scored/app"
	"scored/pjrt/wheel"
)

const setupUsage = `usage: scored setup [cpu|cuda|tpu] [flags]

Fetches the plugin of a device, cpu if none is named, checks it and prints its path, so that
serving needs no network. A plugin that is there unharmed is not fetched again.

`

// setup fetches a device's plugin. Its path alone goes to stdout, so that a shell can
// take it.
func setup(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) error {
	line := newCommandLine("scored setup", setupUsage)
	f, options := line.flags, wheel.Options{Progress: stderr}
	f.StringVar(&options.Folder, "plugin-dir", "",
		"where plugins are installed (default: the user's cache folder)")
	f.StringVar(&options.WheelDir, "wheel-dir", "", "folder of wheels to use before the network")
	f.StringVar(&options.IndexURL, "index-url", "", "package index (default: $PIP_INDEX_URL, else "+
		"PyPI)")
	f.BoolVar(&options.Offline, "offline", false, "never use the network")
	words, err := line.read(args, env, stderr)
	if err != nil {
		return err
	}
	device := "cpu"
	if len(words) == 1 {
		device = words[0]
	}
	// CUDACompiler is the part of cuda that scored compile needs, for our own tests.
	if len(words) > 1 || !slices.Contains([]string{"cpu", "cuda", "tpu", wheel.CUDACompiler}, device) {
		return app.UsageError{Err: fmt.Errorf("setup takes one device, cpu, cuda or tpu, not %q", words)}
	}
	if err := checkSetup(options); err != nil {
		return app.UsageError{Err: err}
	}
	path, err := wheel.Setup(ctx, device, options)
	if err != nil {
		return fmt.Errorf("plugin for %s: %w", device, err)
	}
	fmt.Fprintln(stdout, path)
	return nil
}

// checkSetup refuses folders and an index that cannot be what their flags take.
func checkSetup(o wheel.Options) error {
	if dir := o.WheelDir; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("flag --wheel-dir is %s; it must be a folder that exists", dir)
		}
	}
	if err := app.CheckFolder("plugin-dir", o.Folder); err != nil {
		return err
	}
	if o.IndexURL != "" && !wheel.IsIndex(o.IndexURL) { // not told: it may hold a password
		return errors.New("flag --index-url is no address; give it as https://HOST/PATH")
	}
	return nil
}
