package launch

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Expand turns arguments as Python's argparse accepts them into those of package flag.
// The name of a flag may be shortened to an unambiguous beginning, and a list may
// follow its flag as several words. Words that belong to no flag stay where they are,
// for package flag to refuse. Errors name the flag; argparse refuses the same, in
// other words.
func Expand(args []string, flags *flag.FlagSet) (out []string, err error) {
	for i := 0; i < len(args); i++ {
		word, value, joined := strings.Cut(args[i], "=")
		if !strings.HasPrefix(word, "--") || word == "--" {
			out = append(out, args[i])
			continue
		}
		name, err := named(strings.TrimPrefix(word, "--"), flags)
		if err != nil {
			return nil, err
		}
		f := flags.Lookup(name)
		if !joined {
			if f == nil || IsSwitch(f) { // f is nil for --help, which is not in the set
				out = append(out, "--"+name)
				continue
			}
			values := valuesOf(f, args[i+1:])
			if len(values) == 0 {
				return nil, fmt.Errorf("flag --%s lacks its value", name)
			}
			value, i = strings.Join(values, ","), i+len(values)
		}
		out = append(out, "--"+name+"="+value)
	}
	return out, nil
}

// valuesOf returns the leading words that are values of the flag: one, or all values of
// a list.
func valuesOf(f *flag.Flag, words []string) []string {
	most := 1
	if v, ok := f.Value.(*Value); ok && v.isList() {
		most = len(words)
	}
	n := 0
	for n < most && n < len(words) && isValue(words[n]) {
		n++
	}
	return words[:n]
}

// isValue reports whether a word is a value and not the next flag. As in argparse, a
// value may begin with a dash if it is a number or contains a space.
func isValue(word string) bool {
	if len(word) < 2 || word[0] != '-' || strings.Contains(word, " ") {
		return true
	}
	_, err := strconv.ParseFloat(word, 64)
	return err == nil
}

// IsSwitch reports whether a flag's value may be left out.
func IsSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// named returns the flag with this name or, if there is only one, the flag whose name
// begins with it. sglang-jax's flags have priority over ours, so a name that is short
// enough for sglang-jax is so here.
func named(name string, flags *flag.FlagSet) (string, error) {
	if flags.Lookup(name) != nil {
		return name, nil
	}
	theirs := map[string]bool{"help": true} // names of sglang-jax's flags
	for alias := range Aliases() {
		theirs[alias] = true
	}
	for _, p := range Flags() {
		theirs[p.Flag()] = true
	}
	var found, ours []string
	consider := func(candidate string) {
		switch {
		case !strings.HasPrefix(candidate, name):
		case theirs[candidate]:
			found = append(found, candidate)
		default:
			ours = append(ours, candidate)
		}
	}
	consider("help")
	flags.VisitAll(func(f *flag.Flag) { consider(f.Name) })
	if len(found) != 1 {
		found = append(found, ours...)
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("flag --%s is unknown; scored serve -h lists them", name)
	case 1:
		return found[0], nil
	}
	slices.Sort(found)
	return "", fmt.Errorf("flag --%s is ambiguous: it may be --%s", name, strings.Join(found, ", --"))
}
