package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"scored/app"
	"scored/pjrt/wheel"
)

// setup fetches a device's plugin, so that serving needs no network.
func setup(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("scored setup", flag.ContinueOnError)
	f.SetOutput(stderr)
	options := wheel.Options{Progress: stderr}
	f.StringVar(&options.Folder, "plugin-dir", "",
		"where plugins are installed (default: the user's cache folder)")
	f.StringVar(&options.WheelDir, "wheel-dir", "", "folder of wheels to use before the network")
	f.StringVar(&options.IndexURL, "index-url", "", "package index (default: $PIP_INDEX_URL, else "+
		"PyPI)")
	f.BoolVar(&options.Offline, "offline", false, "never use the network")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return app.UsageError{Err: err}
	}
	if err := fromEnvironment(f, env); err != nil {
		return app.UsageError{Err: err}
	}
	device := "cpu"
	if f.NArg() > 0 {
		device = f.Arg(0)
	}
	if f.NArg() > 1 {
		// flag stops at the first word that is none; what follows the device must be flags
		// too.
		if err := f.Parse(f.Args()[1:]); err != nil || f.NArg() > 0 {
			return app.UsageError{Err: errors.New("setup takes one device: cpu, cuda or tpu")}
		}
	}
	path, err := wheel.Setup(ctx, device, options)
	if err != nil {
		return fmt.Errorf("plugin for %s: %w", device, err)
	}
	fmt.Fprintln(stdout, path)
	return nil
}
