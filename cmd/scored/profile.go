package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"scored/app"
	"scored/profile"
	"scored/target"
)

const profileUsage = `usage: scored profile report DIR [flags]

Tells what the newest trace below DIR says: how busy the device was and with what, what padding
cost, why the device stood idle, how near it came to its roofline, and which requests were slowest.
DIR may also be an .xplane.pb. Traces of sglang-jax, or of anything else that writes XLA's format,
will do.

`

// profileCommand runs what follows `scored profile`: the word report, for now, so that
// others may join it. The report goes to stdout. It needs neither model nor device.
func profileCommand(args []string, stdout, stderr io.Writer) error {
	line := newCommandLine("scored profile report", profileUsage)
	f := line.flags
	var options profile.ReportOptions
	f.StringVar(&options.Against, "against", "", "folder of another trace to compare with")
	f.StringVar(&options.Device, "device", "", "whose roofline to measure against, e.g. v6e or h100 "+
		"(default: what the trace names)")
	f.IntVar(&options.Slowest, "slowest", 5, "how many requests to list")
	f.BoolVar(&options.HTML, "html", false, "write a page instead of text")
	switch {
	case len(args) == 0:
		return app.UsageError{Err: errors.New("profile lacks a command; use report")}
	case args[0] == "report":
		args = args[1:]
	case args[0] != "-h" && args[0] != "--help":
		return app.UsageError{Err: fmt.Errorf("profile has no command %q; use report", args[0])}
	}
	// Variables are not read: SCORED_DEVICE, where a server runs too, names its platform,
	// and not a chip.
	none := func(string) (string, bool) { return "", false }
	words, err := line.read(args, none, stderr)
	if err != nil {
		return err
	}
	if err := checkReport(words, options); err != nil {
		return app.UsageError{Err: err}
	}
	err = profile.Report(words[0], stdout, options)
	if against := (profile.AgainstError{}); errors.As(err, &against) {
		return app.UsageError{Err: fmt.Errorf("flag --against: %w; name the folder of a trace", err)}
	}
	return err
}

// checkReport refuses a command line that no trace could make work. DIR is what the
// report reads: a fault of it is no fault of the command line.
func checkReport(words []string, options profile.ReportOptions) error {
	if len(words) != 1 {
		return fmt.Errorf("profile report takes one folder and has %d; name that of a trace", len(words))
	}
	if options.Slowest < 1 {
		return fmt.Errorf("flag --slowest is %d; it must be at least 1", options.Slowest)
	}
	known := target.MeasuredNames()
	if options.Device != "" && !slices.Contains(known, options.Device) {
		return fmt.Errorf("flag --device is %q; use one of %s", options.Device,
			strings.Join(known, ", "))
	}
	return nil
}
