package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"scored/app"
)

// lookup finds an environment variable, as os.LookupEnv does.
type lookup func(name string) (string, bool)

// commandLine is how one of scored's commands is called: its flags, and what -h prints.
type commandLine struct {
	flags *flag.FlagSet // named after the command, such as "scored bench"
	help  func(w io.Writer)
}

// newCommandLine returns the command line of a command that has no flags yet. -h prints
// the usage, which ends with an empty line, and the flags.
func newCommandLine(name, usage string) *commandLine {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints faults, once
	return &commandLine{flags: f, help: func(w io.Writer) {
		fmt.Fprint(w, usage)
		f.VisitAll(func(f *flag.Flag) { printFlag(w, f) })
	}}
}

// read parses the arguments, and the environment for flags that are not given. Flags may
// stand before, between and behind the words, which it returns. For -h it prints the
// usage and returns flag.ErrHelp. Any other error is a UsageError of one sentence.
func (c *commandLine) read(args []string, env lookup,
	stderr io.Writer) (words []string, err error) {
	for {
		err = c.flags.Parse(args)
		if err != nil || c.flags.NArg() == 0 {
			break
		}
		// Parse stops at the first word that is no flag.
		words, args = append(words, c.flags.Arg(0)), c.flags.Args()[1:]
	}
	if errors.Is(err, flag.ErrHelp) {
		c.help(stderr)
		return nil, err
	}
	if err != nil {
		err = c.explain(err)
	} else {
		err = fromEnvironment(c.flags, env)
	}
	if err != nil {
		return nil, app.UsageError{Err: err}
	}
	return words, nil
}

// readFlags is read for a command that takes no words.
func (c *commandLine) readFlags(args []string, env lookup, stderr io.Writer) error {
	words, err := c.read(args, env, stderr)
	if err == nil && len(words) > 0 {
		err = app.UsageError{Err: fmt.Errorf("argument %q is not a flag; %s takes flags alone", words[0],
			c.flags.Name())}
	}
	return err
}

// What package flag says of a wrong command line. It has no types for these errors;
// TestFlagFaults tells if a new Go says it in other words.
var (
	undefinedFlag = regexp.MustCompile(`^flag provided but not defined: --?(.+)$`)
	lacksValue    = regexp.MustCompile(`^flag needs an argument: --?(.+)$`)
	wrongValue    = regexp.MustCompile(
		`^invalid (?:boolean )?value ("(?:[^"\\]|\\.)*") for (?:flag )?-(\S+?): (.*)$`)
)

// explain turns an error of package flag into a sentence with a remedy.
func (c *commandLine) explain(err error) error {
	text := err.Error()
	if m := undefinedFlag.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("flag --%s is unknown; %s -h lists them", m[1], c.flags.Name())
	}
	if m := lacksValue.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("flag --%s lacks its value; %s -h tells what it takes", m[1], c.flags.Name())
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("flag --%s is %s; %s", m[2], m[1], mustBe(c.flags.Lookup(m[2]), m[3]))
	}
	return fmt.Errorf("%w; %s -h tells how it is called", err, c.flags.Name())
}

// mustBe returns what a flag's value must be. fault is the error of its Set: our own
// kinds of values say there what they must be, those of package flag do not.
func mustBe(f *flag.Flag, fault string) string {
	getter, ok := f.Value.(flag.Getter)
	if !ok {
		return fault
	}
	small := ""
	if strings.Contains(fault, "out of range") {
		small = ", and not as large"
	}
	switch getter.Get().(type) {
	case bool:
		return "it must be true or false"
	case int, int64:
		return "it must be a whole number" + small
	case uint, uint64:
		return "it must be a whole number of at least 0" + small
	case float64:
		return "it must be a number" + small
	case time.Duration:
		return "it must be a duration such as 90s or 5m" + small
	}
	return fault
}

// fromEnvironment sets the flags that were not given and have a variable: --max-queue
// is SCORED_MAX_QUEUE. A flag and its alias have one value, so either of them given
// wins over both variables.
func fromEnvironment(flags *flag.FlagSet, env lookup) (err error) {
	given := map[flag.Value]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Value] = true })
	flags.VisitAll(func(f *flag.Flag) {
		name := "SCORED_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := env(name)
		if !set || given[f.Value] || err != nil {
			return
		}
		if fault := flags.Set(f.Name, value); fault != nil {
			err = fmt.Errorf("environment variable %s is %q; %s", name, value, mustBe(f, fault.Error()))
		}
	})
	return err
}
