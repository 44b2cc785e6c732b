package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"scored/app"
	"scored/server"
	"scored/sglang/launch"
)

// config is what the flags of model, server and engine say: the Options of the app, and
// what becomes one of them or concerns the terminal alone. All commands that load a
// model have one, with the flags that concern them.
type config struct {
	app.Options

	Sampling       string `validate:"omitempty,json"`
	LogLevel       string `validate:"oneof=debug info warn warning error critical"`
	LogLevelHTTP   string `validate:"omitempty,oneof=debug info warn warning error critical"`
	ChunkedPrefill int    `validate:"min=-1"`
	MaxPrefill     int    `validate:"min=1"`

	ignored []string      // flags and variables that were given and do nothing here, with the reason
	set     *flag.FlagSet // the flags that these values came from
	// checked is what the app makes of the Options. check sets it.
	checked *app.Checked
}

// newConfig has the defaults, which flags show as theirs.
func newConfig() *config {
	c := &config{Options: app.Defaults(), LogLevel: "info", ChunkedPrefill: 4096, MaxPrefill: 16384}
	c.Device, c.ProfileDir = "", "" // readVariables fills them in
	return c
}

// parseServe reads the command line of scored serve: flags as sglang-jax reads them and,
// for those not given, environment variables SCORED_<FLAG>; then sglang-jax's variables.
// The server is to log to stderr.
func parseServe(args []string, env lookup, stderr io.Writer) (*config, error) {
	c := newConfig()
	line := newCommandLine("scored serve", "")
	line.help = printServeUsage
	c.serveFlags(line.flags)
	args, err := launch.Expand(args, line.flags)
	if err != nil {
		return nil, app.UsageError{Err: err}
	}
	if err := line.readFlags(args, env, stderr); err != nil {
		return nil, err
	}
	if err := c.readVariables(env); err != nil {
		return nil, app.UsageError{Err: err}
	}
	ignored, err := launch.Check(c.set)
	if err != nil {
		return nil, app.UsageError{Err: err}
	}
	c.ignored = append(c.ignored, ignored...)
	c.ServedModelName = cmp.Or(c.ServedModelName, c.ModelPath)
	c.Settings = func(chosen app.Chosen) []server.Setting { return settings(c.set, chosen) }
	if err := c.check(stderr); err != nil {
		return nil, err
	}
	return c, nil
}

// check holds the values to what can work, and sets checked. It must be called once: the
// files that flags name are read by it, and may be pipes. Logs go to w. Its errors are
// UsageErrors.
func (c *config) check(w io.Writer) (err error) {
	c.LogLevel, c.LogLevelHTTP = strings.ToLower(c.LogLevel), strings.ToLower(c.LogLevelHTTP)
	if c.DType == "half" || c.DType == "float16" {
		return app.UsageError{Err: fmt.Errorf("flag --dtype=%s is not supported: float16 weights would "+
			"be rounded, and scores with them; use bfloat16 or float32", c.DType)}
	}
	err = app.CheckFields(c, "Sampling", "LogLevel", "LogLevelHTTP", "ChunkedPrefill", "MaxPrefill")
	if err == nil {
		err = c.checkSampling()
	}
	if err != nil {
		return app.UsageError{Err: err}
	}
	c.checked, err = c.options(w).Check()
	return err
}

// options returns the Options of an app that logs to w.
func (c *config) options(w io.Writer) app.Options {
	o := c.Options
	o.StepTokens = c.mostTokens()
	if c.Sampling != "" {
		o.SamplingParams = string(launch.JSON(launch.Text, c.Sampling)) // as sglang-jax shows it
	}
	o.Version = version()
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
		return fmt.Errorf("flag --preferred-sampling-params asks for temperature %g, but scores are "+
			"taken at 1; leave it out", *params.Temperature)
	}
	return nil
}

// logger logs to w at the level, or at --log-level if level is "". sglang-jax's level
// critical is error here: nothing is logged above it.
func (c *config) logger(w io.Writer, level string) *slog.Logger {
	at := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError,
		"critical": slog.LevelError}[cmp.Or(level, c.LogLevel)]
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: at}))
}

// shown lists the command's own flags with their values, and sglang-jax's that were
// given, for the log; without secrets.
func (c *config) shown() []any {
	var pairs []any
	c.set.VisitAll(func(f *flag.Flag) {
		v, theirs := f.Value.(*launch.Value)
		if launch.Aliases()[f.Name] == "" && (!theirs || v.Given()) {
			pairs = append(pairs, slog.String(strings.ReplaceAll(f.Name, "-", "_"), shownText(f)))
		}
	})
	return pairs
}
