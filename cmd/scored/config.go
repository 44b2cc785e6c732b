package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"scored/app"
	"scored/server"
	"scored/sglang/launch"
)

// lookup finds an environment variable.
type lookup func(name string) (string, bool)

// config is everything `scored serve` can be told: the Options of the app, and what
// becomes one of them or concerns the terminal alone.
type config struct {
	app.Options

	Sampling       string `validate:"omitempty,json"`
	LogLevel       string `validate:"oneof=debug info warn warning error critical"`
	LogLevelHTTP   string `validate:"omitempty,oneof=debug info warn warning error critical"`
	ChunkedPrefill int    `validate:"min=-1"`
	MaxPrefill     int    `validate:"min=1"`

	ignored []string      // flags and variables that were given and do nothing here, with the reason
	set     *flag.FlagSet // the flags these values came from
}

// newConfig has the defaults, which flags show as theirs.
func newConfig() *config {
	c := &config{Options: app.Defaults(), LogLevel: "info", ChunkedPrefill: 4096, MaxPrefill: 16384}
	c.Device, c.ProfileDir = "", "" // readVariables says
	return c
}

// parseConfig reads flags and, for those not given, environment variables
// SCORED_<FLAG>; then sglang-jax's variables.
func parseConfig(args []string, env lookup, output io.Writer) (*config, error) {
	c := newConfig()
	flags := c.flags()
	flags.SetOutput(io.Discard) // faults are told once, by the caller
	args, err := launch.Expand(args, flags)
	if err != nil {
		return nil, app.UsageError{Err: err}
	}
	if err := parseFlags(flags, args, env); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printUsage(output)
		}
		return nil, err
	}
	if err := c.readVariables(env); err != nil {
		return nil, app.UsageError{Err: err}
	}
	if err := c.validate(); err != nil {
		return nil, app.UsageError{Err: err}
	}
	return c, nil
}

// parseFlags reads flags and, for those not given, environment variables. Nothing but
// flags may be among args.
func parseFlags(flags *flag.FlagSet, args []string, env lookup) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("argument %q is not a flag", flags.Arg(0))
	case err == nil:
		err = fromEnvironment(flags, env)
	}
	if err != nil {
		return app.UsageError{Err: err}
	}
	return nil
}

// fromEnvironment sets the flags that were not given and have a variable: --max-queue
// is SCORED_MAX_QUEUE.
func fromEnvironment(flags *flag.FlagSet, env lookup) (err error) {
	given := map[flag.Value]bool{} // a flag and its alias have one
	flags.Visit(func(f *flag.Flag) { given[f.Value] = true })
	flags.VisitAll(func(f *flag.Flag) {
		name := "SCORED_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := env(name)
		if !set || given[f.Value] || err != nil {
			return
		}
		if setErr := flags.Set(f.Name, value); setErr != nil {
			err = fmt.Errorf("environment variable %s=%q: %w", name, value, setErr)
		}
	})
	return err
}

// validate checks the values together and fills in those that follow from others.
func (c *config) validate() error {
	c.LogLevel, c.LogLevelHTTP = strings.ToLower(c.LogLevel), strings.ToLower(c.LogLevelHTTP)
	if c.DType == "half" || c.DType == "float16" {
		return fmt.Errorf("flag --dtype=%s is not supported: float16 weights would be rounded, and "+
			"scores with them; use bfloat16 or float32", c.DType)
	}
	if err := app.CheckFields(c); err != nil {
		return err
	}
	ignored, err := launch.Check(c.set)
	if err != nil {
		return err
	}
	c.ignored = append(c.ignored, ignored...)
	if err := c.checkSampling(); err != nil {
		return err
	}
	if c.ServedModelName == "" {
		c.ServedModelName = c.ModelPath
	}
	return c.Check()
}

// checkValues holds some fields to their tags.
func (c *config) checkValues(fields ...string) error {
	for i, name := range fields {
		if name != "LogLevel" {
			fields[i] = "Options." + name
		}
	}
	return app.CheckFields(c, fields...)
}

// options are those of an app that logs to w.
func (c *config) options(w io.Writer) app.Options {
	o := c.Options
	o.StepTokens = c.mostTokens()
	if c.Sampling != "" {
		o.SamplingParams = string(launch.JSON(launch.Text, c.Sampling)) // as sglang-jax shows it
	}
	o.Version = version()
	o.Settings = func(chosen app.Chosen) []server.Setting { return settings(c.set, chosen) }
	o.Log, o.Access, o.Progress = c.logger(w, ""), c.logger(w, c.LogLevelHTTP), w
	return o
}

// mostTokens bounds the tokens of a step: by --chunked-prefill-size only where that is
// given, as its default is sglang-jax's, and a device's row knows which steps suit it.
func (c *config) mostTokens() int {
	given := false
	c.set.Visit(func(f *flag.Flag) { given = given || f.Name == "chunked-prefill-size" })
	if given && c.ChunkedPrefill > 0 {
		return min(c.MaxPrefill, c.ChunkedPrefill)
	}
	return c.MaxPrefill
}

// checkSampling refuses what would change sglang-jax's scores, which are taken at
// temperature 1.
func (c *config) checkSampling() error {
	var params struct{ Temperature *float64 }
	if c.Sampling == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(c.Sampling), &params); err != nil {
		return fmt.Errorf("flag --preferred-sampling-params is %s; it must be a JSON object", c.Sampling)
	}
	if params.Temperature != nil && *params.Temperature != 1 {
		return fmt.Errorf("flag --preferred-sampling-params asks for temperature %g; scores are "+
			"taken at 1", *params.Temperature)
	}
	return nil
}

// logger logs at the level, or at --log-level if level is "".
func (c *config) logger(w io.Writer, level string) *slog.Logger {
	at := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError,
		"critical": slog.LevelError}[cmp.Or(level, c.LogLevel)]
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: at}))
}

// shown lists every flag of ours with its value, and sglang-jax's that were given, for
// the log; without secrets.
func (c *config) shown() []any {
	var pairs []any
	c.set.VisitAll(func(f *flag.Flag) {
		if v, theirs := f.Value.(*launch.Value); launch.Aliases()[f.Name] == "" &&
			(!theirs || v.Given()) {
			pairs = append(pairs, slog.String(strings.ReplaceAll(f.Name, "-", "_"), shownText(f)))
		}
	})
	return pairs
}
