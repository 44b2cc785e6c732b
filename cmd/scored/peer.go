package main

import (
	_ "embed" // the table of the peer's flags is a file
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"scored/server"
)

// peerFlags has a line for each launch flag of sglang-jax, in the order in which its /get_server_info shows them: name,
// kind, default, effect, reason. A name is the flag's but for the kind inverse, whose flag disables what the name enables.
// Effects: own = a flag of ours too; idle = taken, and scores are the same whatever it says; fixed = refused unless at its
// default.
//
//go:embed peer_flags.tsv
var peerFlags string

// peerFlag is a line of the table.
type peerFlag struct {
	name, kind string
	byDefault  json.RawMessage
	effect     string
	reason     string
}

func peerTable() (table []peerFlag) {
	for line := range strings.Lines(peerFlags) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		table = append(table, peerFlag{f[0], f[1], json.RawMessage(f[2]), f[3], f[4]})
	}
	return table
}

func (p peerFlag) flag() string {
	name := strings.ReplaceAll(p.name, "_", "-")
	if p.kind == "inverse" {
		return strings.Replace(name, "enable", "disable", 1)
	}
	return name
}

// peerValue is the flag.Value of a peer's flag that has no counterpart of ours.
type peerValue struct {
	kind  string
	text  string
	given bool
}

func (v *peerValue) String() string   { return v.text }
func (v *peerValue) IsBoolFlag() bool { return v.kind == "flag" || v.kind == "inverse" }
func (v *peerValue) isList() bool     { return v.kind == "list" || v.kind == "ints" }

// Set keeps the value as JSON can show it: numbers without signs and zeros that lead nowhere.
func (v *peerValue) Set(text string) error {
	switch v.kind {
	case "int", "ints":
		numbers := strings.Split(text, ",")
		for i, number := range numbers {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || v.kind == "int" && len(numbers) > 1 {
				return errors.New("it must be a whole number")
			}
			numbers[i] = strconv.FormatInt(n, 10)
		}
		text = strings.Join(numbers, ",")
	case "float":
		if f, err := strconv.ParseFloat(text, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("it must be a finite number")
		}
	case "flag", "inverse":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("it must be true or false")
		}
		text = strconv.FormatBool(b)
	}
	v.text, v.given = text, true
	return nil
}

// json is the value as Python's json.dumps writes it.
func (v *peerValue) json() json.RawMessage { return encode(v.kind, v.text) }

func encode(kind, text string) json.RawMessage {
	switch kind {
	case "int", "flag":
		return json.RawMessage(text)
	case "inverse":
		return json.RawMessage(strconv.FormatBool(text == "false"))
	case "ints":
		return json.RawMessage("[" + text + "]")
	case "float":
		f, _ := strconv.ParseFloat(text, 64) // Set has read it
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return json.RawMessage(s)
	case "list":
		data, _ := json.Marshal(strings.Split(text, ",")) // strings always encode
		return data
	}
	data, _ := json.Marshal(text)
	return data
}

// addPeerFlags adds the peer's flags that are not ours.
func addPeerFlags(f *flag.FlagSet) {
	for _, p := range peerTable() {
		if p.effect != "own" {
			f.Var(&peerValue{kind: p.kind}, p.flag(), "")
		}
	}
}

// checkPeerFlags refuses what would be served differently from what was asked for. It returns the flags that were given
// and do nothing here, with their reasons, for the log.
func checkPeerFlags(f *flag.FlagSet) (idle []string, err error) {
	for _, p := range peerTable() {
		v, ok := f.Lookup(p.flag()).Value.(*peerValue)
		switch {
		case !ok || !v.given:
		case p.effect == "idle":
			idle = append(idle, "--"+p.flag()+": "+p.reason)
		case string(v.json()) != string(p.byDefault):
			return nil, fmt.Errorf("flag --%s=%s is not supported: %s; leave it out", p.flag(), v.text, p.reason)
		}
	}
	return idle, nil
}

// settings lists every flag's value for /get_server_info: the peer's names in its order, then our own. No secrets.
func (c *config) settings() (all []server.Setting) {
	listed := map[string]bool{}
	for _, p := range peerTable() {
		listed[p.flag()] = true
		f := c.set.Lookup(p.flag())
		value := p.byDefault
		if v, ok := f.Value.(*peerValue); !ok {
			value = c.setting(p, f)
		} else if v.given {
			value = encode(v.kind, shownText(f))
		}
		all = append(all, server.Setting{Name: p.name, Value: value})
	}
	c.set.VisitAll(func(f *flag.Flag) {
		if aliases()[f.Name] == "" && !listed[f.Name] {
			all = append(all, server.Setting{Name: strings.ReplaceAll(f.Name, "-", "_"), Value: c.setting(peerFlag{kind: "text"}, f)})
		}
	})
	return append(all, server.Setting{Name: "xla_options", Value: xlaOptions(c.target().Options)})
}

// xlaOptions are the compiler's options as JSON, null for none.
func xlaOptions(options map[string]string) json.RawMessage {
	data, _ := json.Marshal(options) // strings always encode
	return data
}

// setting is the value of a flag of ours, which may be the peer's too. What is empty is null, and so is a number of 0 where
// the peer has null by default.
func (c *config) setting(p peerFlag, f *flag.Flag) json.RawMessage {
	text := shownText(f)
	switch {
	case text == "", text == "0" && string(p.byDefault) == "null":
		return json.RawMessage("null")
	case f.Name == "watchdog-timeout":
		return json.RawMessage(strconv.FormatFloat(c.Watchdog.Seconds(), 'f', -1, 64))
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || isSwitch(f) {
		return json.RawMessage(text)
	}
	return encode(p.kind, text)
}

// shownText is a flag's value without secrets.
func shownText(f *flag.Flag) string {
	text := f.Value.String()
	switch f.Name {
	case "api-key", "disaggregation-shared-secret":
		if text != "" {
			return "(set)"
		}
	case "otlp-endpoint":
		if u, err := url.Parse(text); err == nil {
			return u.Redacted()
		}
	}
	return text
}
