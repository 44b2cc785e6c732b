package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"scored/sglang/launch"
)

// printServeUsage lists our flags by what they concern, and those of sglang-jax by what
// becomes of them.
func printServeUsage(w io.Writer) {
	fmt.Fprint(w, "usage: scored serve --model-path MODEL [flags]\n\n"+
		"A flag may be shortened as long as it is unambiguous. SCORED_MAX_QUEUE=9 is --max-queue 9. 10 "+
		"seconds are 10 or 10s.\n")
	c := newConfig()
	for _, group := range []struct {
		title string
		add   func(*flag.FlagSet)
	}{{"Model", c.modelFlags}, {"Server", c.serverFlags}, {"Engine", c.engineFlags}} {
		f := flag.NewFlagSet("", flag.ContinueOnError)
		group.add(f)
		fmt.Fprintf(w, "\n%s:\n", group.title)
		f.VisitAll(func(f *flag.Flag) { printFlag(w, f) })
	}
	printReasons(w, "Flags of sglang-jax that are taken and change no score", launch.Ignored)
	printReasons(w, "Flags of sglang-jax that are refused unless at their default", launch.Fixed)
	fmt.Fprint(w, "\nVariables of sglang-jax that do nothing here:\n")
	for _, v := range launch.IgnoredVariables() {
		fmt.Fprintf(w, "  %s\n      %s\n", v.Name, v.Reason)
	}
}

// printFlag prints a flag in two lines: its name with the kind of its value, and what it
// does. A default of zero or nothing is left out.
func printFlag(w io.Writer, f *flag.Flag) {
	kind, text := flag.UnquoteUsage(f)
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
		text += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(w, "  %s\n      %s\n", strings.TrimSpace("--"+f.Name+" "+kind), text)
}

// printReasons lists sglang-jax's flags of an effect, those with one reason together, in
// the order of their first.
func printReasons(w io.Writer, title string, effect launch.Effect) {
	fmt.Fprintf(w, "\n%s:\n", title)
	var reasons []string
	flags := map[string][]string{}
	for _, p := range launch.Flags() {
		if p.Effect != effect {
			continue
		}
		if flags[p.Reason] == nil {
			reasons = append(reasons, p.Reason)
		}
		flags[p.Reason] = append(flags[p.Reason], "--"+p.Flag())
	}
	const width = 100 // of a line, beside its indent
	for _, reason := range reasons {
		fmt.Fprintf(w, "  %s\n", strings.Join(wrap(flags[reason], width), "\n  "))
		fmt.Fprintf(w, "      %s\n", reason)
	}
}

// wrap joins words to lines of at most width bytes. A longer word is a line of its own.
func wrap(words []string, width int) (lines []string) {
	for _, word := range words {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
