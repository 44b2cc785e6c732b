package main

import (
	"context"
	"io"

	"scored/app"
)

// serve runs the server until ctx ends.
func serve(ctx context.Context, args []string, env lookup, stderr io.Writer) error {
	c, err := parseConfig(args, env, stderr)
	if err != nil {
		return err
	}
	options := c.options(stderr)
	options.Log.Info("starting", c.shown()...)
	for _, setting := range c.ignored {
		options.Log.Info("setting has no effect here", "setting", setting)
	}
	a, err := app.New(options)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
