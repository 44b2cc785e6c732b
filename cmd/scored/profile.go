package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"scored/app"
	"scored/profile"
)

const profileUsage = `usage: scored profile report DIR [flags]

Tells what the newest trace below DIR says: how busy the device was and with what, what padding cost, why the device
stood idle, how near it came to its roofline, and which requests were slowest. DIR may also be an .xplane.pb. Traces of
sglang-jax, or of anything else that writes XLA's format, will do.

`

// profileCommand runs what follows `scored profile`.
func profileCommand(args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("scored profile report", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, profileUsage)
		f.PrintDefaults()
	}
	var options profile.ReportOptions
	f.StringVar(&options.Against, "against", "", "folder of another trace to compare with")
	f.StringVar(&options.Device, "device", "", "whose roofline to measure against, e.g. v6e or h100 "+
		"(default: what the trace names)")
	f.IntVar(&options.Slowest, "slowest", 5, "how many requests to list")
	f.BoolVar(&options.HTML, "html", false, "write a page instead of text")
	dir, err := parseReport(f, args)
	if err != nil {
		return err
	}
	if options.Slowest < 1 {
		return app.UsageError{Err: fmt.Errorf("flag --slowest is %d; it must be at least 1",
			options.Slowest)}
	}
	return profile.Report(dir, stdout, options)
}

// parseReport reads "report DIR", with flags before and behind DIR.
func parseReport(f *flag.FlagSet, args []string) (dir string, err error) {
	switch {
	case len(args) == 0:
		return "", app.UsageError{Err: errors.New("profile lacks a command; use report")}
	case args[0] == "report":
		args = args[1:]
	case args[0] != "-h" && args[0] != "--help":
		return "", app.UsageError{Err: fmt.Errorf("profile has no command %q; use report", args[0])}
	}
	var words []string
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return "", err
			}
			return "", app.UsageError{Err: err}
		}
		// Parse stops at the first word that is no flag.
		if args = f.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	if len(words) != 1 {
		return "", app.UsageError{Err: fmt.Errorf("profile report takes one folder and has %d; name "+
			"that of a trace", len(words))}
	}
	return words[0], nil
}
