// Package launch reads command lines and environment variables as sglang-jax does: its
// flags with their defaults, the effect that each has here, and argparse's ways of
// writing them. It must not know the server's options.
package launch

import (
	_ "embed" // the table of flags is a file
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"

	"scored/sglang"
)

// table has a line for each launch flag of sglang-jax, in the order in which its
// /get_server_info shows them: name, kind, default as JSON, effect, reason, with tabs
// between them. The name is the flag's, except that an inverse flag disables what the
// name enables. Kind and Effect list the words that may stand there.
//
//go:embed flags.tsv
var table string

// Flag is a launch flag of sglang-jax.
type Flag struct {
	Name    string // in /get_server_info
	Kind    Kind
	Default json.RawMessage
	Effect  Effect
	Reason  string // why it has this effect; "" for Own
}

// Kind is the type of a flag's value.
type Kind string

// The kinds of values.
const (
	Text    Kind = "text"
	Int     Kind = "int"
	Ints    Kind = "ints" // a list
	Float   Kind = "float"
	List    Kind = "list" // of texts
	Switch  Kind = "flag"
	Inverse Kind = "inverse" // a switch that disables what its name enables
)

// Effect says how the server treats a flag of sglang-jax.
type Effect string

// The effects.
const (
	Own     Effect = "own"     // scored has the flag, too
	Ignored Effect = "ignored" // accepted; scores do not depend on it
	Fixed   Effect = "fixed"   // refused unless it has its default value
)

// Flags lists the flags in the order in which /get_server_info shows them.
func Flags() (all []Flag) {
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, Flag{f[0], Kind(f[1]), json.RawMessage(f[2]), Effect(f[3]), f[4]})
	}
	return all
}

// Flag returns the flag's name on a command line, without dashes before it.
func (p Flag) Flag() string {
	name := strings.ReplaceAll(p.Name, "_", "-")
	if p.Kind == Inverse { // enable_x is set by --disable-x
		return strings.Replace(name, "enable", "disable", 1)
	}
	return name
}

// Value is the flag.Value of a flag that scored itself does not have.
type Value struct {
	kind  Kind
	text  string // in a form that JSON accepts; elements of a list have commas between them
	given bool
}

// Given reports whether the flag has been set.
func (v *Value) Given() bool { return v.given }

// String implements flag.Value.
func (v *Value) String() string { return v.text }

// IsBoolFlag tells package flag whether the value may be left out.
func (v *Value) IsBoolFlag() bool { return v.kind == Switch || v.kind == Inverse }

// isList reports whether the flag takes several values.
func (v *Value) isList() bool { return v.kind == List || v.kind == Ints }

// Set implements flag.Value. It stores numbers in the form in which JSON can hold them:
// without plus signs and leading zeros.
func (v *Value) Set(text string) error {
	switch v.kind {
	case Int, Ints:
		numbers := strings.Split(text, ",")
		for i, number := range numbers {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || v.kind == Int && len(numbers) > 1 {
				return errors.New("it must be a whole number")
			}
			numbers[i] = strconv.FormatInt(n, 10)
		}
		text = strings.Join(numbers, ",")
	case Float:
		if f, err := strconv.ParseFloat(text, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("it must be a finite number")
		}
	case Switch, Inverse:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("it must be true or false")
		}
		text = strconv.FormatBool(b)
	}
	v.text, v.given = text, true
	return nil
}

// Shown returns a text as a JSON value of the flag's kind.
func (v *Value) Shown(text string) json.RawMessage { return JSON(v.kind, text) }

// JSON returns the value of a flag as Python's json.dumps writes it: of an inverse flag
// what its name enables, so "true" becomes false. text must have been accepted by Set.
func JSON(kind Kind, text string) json.RawMessage {
	switch kind {
	case Int, Switch:
		return json.RawMessage(text)
	case Inverse:
		return json.RawMessage(strconv.FormatBool(text == "false"))
	case Ints:
		return json.RawMessage("[" + text + "]")
	case Float:
		f, _ := strconv.ParseFloat(text, 64) // Set has checked it
		return json.RawMessage(sglang.JSON(f))
	case List:
		return json.RawMessage(sglang.JSON(strings.Split(text, ",")))
	}
	return json.RawMessage(sglang.JSON(text))
}

// Add adds the flags that scored itself does not have. They have no usage text, because
// the usage lists them by effect. f must have none of them yet.
func Add(f *flag.FlagSet) {
	for _, p := range Flags() {
		if p.Effect != Own {
			f.Var(&Value{kind: p.Kind}, p.Flag(), "")
		}
	}
}

// Aliases maps second names of sglang-jax's flags to their first, without dashes.
func Aliases() map[string]string {
	return map[string]string{"model": "model-path", "data-parallel-size": "dp-size",
		"tensor-parallel-size": "tp-size"}
}

// Check refuses flags that ask for something this server does not do. It returns the
// flags that were given and have no effect, with their reasons, for the log. f must have
// all of Flags, and have been parsed. A Fixed flag with its default value passes, so that
// a command line may spell defaults out.
func Check(f *flag.FlagSet) (ignored []string, err error) {
	for _, p := range Flags() {
		v, ok := f.Lookup(p.Flag()).Value.(*Value)
		switch {
		case !ok || !v.given:
		case p.Effect == Ignored:
			ignored = append(ignored, "--"+p.Flag()+": "+p.Reason)
		case string(v.Shown(v.text)) != string(p.Default):
			return nil, fmt.Errorf("flag --%s=%s is not supported: %s; leave it out", p.Flag(),
				v.text, p.Reason)
		}
	}
	return ignored, nil
}
