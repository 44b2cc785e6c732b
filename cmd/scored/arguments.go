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

// named finds the flag whose name is name or, if it is the only one, begins with it. Flags of the peer come first: what is
// unambiguous there stays so, whatever flags of ours there are.
func named(name string, flags *flag.FlagSet) (*flag.Flag, error) {
	if f := flags.Lookup(name); f != nil {
		return f, nil
	}
	peers := map[string]bool{"model": true, "tensor-parallel-size": true, "data-parallel-size": true}
	for _, p := range peerTable() {
		peers[p.flag()] = true
	}
	var all, ofPeer []string
	flags.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, name) {
			all = append(all, f.Name)
			if peers[f.Name] {
				ofPeer = append(ofPeer, f.Name)
			}
		}
	})
	switch {
	case len(ofPeer) == 1:
		return flags.Lookup(ofPeer[0]), nil
	case len(all) == 1:
		return flags.Lookup(all[0]), nil
	case len(all) == 0 && (name == "help" || name == "h"):
		return &flag.Flag{Name: "help", Value: &peerValue{kind: "flag"}}, nil
	case len(all) == 0:
		return nil, fmt.Errorf("flag --%s is unknown; scored serve -h lists them", name)
	}
	slices.Sort(all)
	return nil, fmt.Errorf("flag --%s is ambiguous: it may be --%s", name, strings.Join(all, ", --"))
}
