package main

import (
	"context"
	"io"
)

// serve runs the server until ctx ends. Usage errors come before the first line of the
// log: they are one sentence on stderr. The first line shows every flag, so that a log
// says how its server was started.
func serve(ctx context.Context, args []string, env lookup, stderr io.Writer) error {
	c, err := parseServe(args, env, stderr)
	if err != nil {
		return err
	}
	log := c.logger(stderr, "")
	log.Info("starting", c.shown()...)
	for _, setting := range c.ignored {
		log.Info("setting has no effect here", "setting", setting)
	}
	a, err := c.checked.Listen()
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
