// Command scored serves the Score API: POST /v1/score gives the probability of each
// label as the next token. Its other commands fetch plugins, compile ahead, calibrate
// prices, score files, load servers and read profiles.
//
// It turns flags and the environment into app.Options, and has no algorithm of serving
// of its own. A command is a file, such as serve.go, which is the one to begin with;
// command_line.go reads arguments, for all of them alike, and config.go holds what the
// commands with a model share.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"scored/app"
)

const usage = `scored serves a Score API for Qwen3, Qwen2 and Llama models.

usage:
  scored serve --model-path MODEL [flags]   serve /v1/score
  scored batch IN OUT --model-path MODEL [flags]
                                            score files: JSON lines, CSV, Parquet
  scored setup [cpu|cuda|tpu] [flags]       fetch a device plugin
  scored compile --model-path MODEL --out DIR [flags]
                                            compile for a TPU without one, and tell what a
                                            step costs there
  scored calibrate --model-path MODEL --out FILE [flags]
                                            time a few step shapes, for serve --price FILE
  scored bench --url URL [flags]            load a server and report
  scored profile report DIR [flags]         tell what a recorded profile says
  scored version                            print the version, as --version does

scored COMMAND -h lists a command's flags.
`

// exitLost is the exit status after a device was lost: EX_TEMPFAIL of sysexits.h, for
// another start may find the device well again.
const exitLost = 75

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After the first signal, which drains, the default is back: a second one ends the
	// process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit status. docs/flags.md documents
// them: 2 for a UsageError, exitLost for a lost device, exitUnscored for lines without
// scores and 1 for any other failure. An error is printed here and nowhere else, as one
// line that begins with "scored: ".
func run(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var err error
	switch command, rest := args[0], args[1:]; command {
	case "serve":
		err = serve(ctx, rest, env, stderr)
	case "batch":
		err = batchCommand(ctx, rest, env, stderr)
	case "setup":
		err = setup(ctx, rest, env, stdout, stderr)
	case "bench":
		err = benchCommand(ctx, rest, env, stdout, stderr)
	case "compile":
		err = compile(ctx, rest, env, stdout, stderr)
	case "calibrate":
		err = calibrate(ctx, rest, env, stdout, stderr)
	case "profile":
		err = profileCommand(rest, stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, version())
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
	default:
		err = app.UsageError{Err: fmt.Errorf("command %q is unknown; use serve, batch, setup, compile, "+
			"calibrate, bench, profile or version", command)}
	}
	var wrong app.UsageError
	var lost *app.LostError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "scored: %v\n", err)
		return 2
	case errors.Is(err, errUnscored):
		fmt.Fprintf(stderr, "scored: %v\n", err)
		return exitUnscored
	case errors.As(err, &lost):
		fmt.Fprintf(stderr, "scored: %v\n", lost)
		return exitLost
	default:
		fmt.Fprintf(stderr, "scored: %v\n", err)
		return 1
	}
}

// version returns the module's version and commit, and Go's version, as the Go toolchain
// recorded them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "scored (unknown build)"
	}
	text := "scored " + info.Main.Version + " " + info.GoVersion
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			text += " " + setting.Value
		}
	}
	return text
}
