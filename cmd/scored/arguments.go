package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// expand turns arguments as Python's argparse takes them into those of package flag: an unambiguous beginning of a flag's
// name stands for it, and a list may follow its flag word by word.
func expand(args []string, flags *flag.FlagSet) ([]string, error) {
	var out []string
	for i := 0; i < len(args); i++ {
		word, value, joined := strings.Cut(args[i], "=")
		if !strings.HasPrefix(word, "--") || word == "--" {
			out = append(out, args[i])
			continue
		}
		f, err := named(strings.TrimPrefix(word, "--"), flags)
		if err != nil {
			return nil, err
		}
		p, isPeer := f.Value.(*peerValue)
		switch {
		case joined:
			out = append(out, "--"+f.Name+"="+value)
		case isPeer && p.kind == "list":
			var values []string
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
				i++
				values = append(values, args[i])
			}
			out = append(out, "--"+f.Name+"="+strings.Join(values, ","))
		case isSwitch(f) || i+1 == len(args):
			out = append(out, "--"+f.Name)
		default:
			i++
			out = append(out, "--"+f.Name+"="+args[i]) // a value may begin with a dash
		}
	}
	return out, nil
}

func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// named finds the flag whose name is name or, if it is the only one, begins with it.
func named(name string, flags *flag.FlagSet) (*flag.Flag, error) {
	if f := flags.Lookup(name); f != nil {
		return f, nil
	}
	var found []string
	flags.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, name) {
			found = append(found, f.Name)
		}
	})
	switch {
	case len(found) == 0 && (name == "help" || name == "h"):
		return &flag.Flag{Name: "help", Value: &peerValue{kind: "flag"}}, nil
	case len(found) == 0:
		return nil, fmt.Errorf("flag --%s is unknown; scored serve -h lists them", name)
	case len(found) > 1:
		slices.Sort(found)
		return nil, fmt.Errorf("flag --%s is ambiguous: it may be --%s", name, strings.Join(found, ", --"))
	}
	return flags.Lookup(found[0]), nil
}
