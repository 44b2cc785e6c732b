package main

import (
	_ "embed" // the table of the peer's flags is a file
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"scored/server"
)

// peerFlags has a line for each launch flag of sglang-jax, in the order in which its /get_server_info shows them: name,
// kind, default, effect, reason. Effects: own = a flag of ours too; idle = taken, and scores are the same whatever it
// says; fixed = refused unless at its default.
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

func (p peerFlag) flag() string { return strings.ReplaceAll(p.name, "_", "-") }

// peerValue is the flag.Value of a peer's flag that has no counterpart of ours.
type peerValue struct {
	kind  string
	text  string
	given bool
}

func (v *peerValue) String() string   { return v.text }
func (v *peerValue) IsBoolFlag() bool { return v.kind == "flag" }

func (v *peerValue) Set(text string) (err error) {
	switch v.kind {
	case "int":
		_, err = strconv.ParseInt(text, 10, 64)
	case "float":
		_, err = strconv.ParseFloat(text, 64)
	case "flag":
		_, err = strconv.ParseBool(text)
	}
	v.text, v.given = text, err == nil
	return err
}

// json is the value as Python's json.dumps writes it.
func (v *peerValue) json() json.RawMessage { return encode(v.kind, v.text) }

func encode(kind, text string) json.RawMessage {
	switch kind {
	case "int", "flag":
		return json.RawMessage(text)
	case "float":
		f, _ := strconv.ParseFloat(text, 64) // Set has read it
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return json.RawMessage(s)
	case "list":
		items := []any{}
		for _, item := range strings.Split(text, ",") {
			if n, err := strconv.ParseInt(item, 10, 64); err == nil {
				items = append(items, n)
			} else {
				items = append(items, item)
			}
		}
		data, _ := json.Marshal(items) // numbers and strings always encode
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
	f.Var(f.Lookup("tp-size").Value, "tensor-parallel-size", "")
	f.Var(f.Lookup("dp-size").Value, "data-parallel-size", "")
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
	listed := map[string]bool{"model": true, "tensor-parallel-size": true, "data-parallel-size": true}
	for _, p := range peerTable() {
		listed[p.flag()] = true
		f := c.set.Lookup(p.flag())
		value := p.byDefault
		if v, ok := f.Value.(*peerValue); !ok {
			value = c.setting(p.kind, f)
		} else if v.given {
			value = v.json()
		}
		all = append(all, server.Setting{Name: p.name, Value: value})
	}
	c.set.VisitAll(func(f *flag.Flag) {
		if !listed[f.Name] {
			all = append(all, server.Setting{Name: strings.ReplaceAll(f.Name, "-", "_"), Value: c.setting("text", f)})
		}
	})
	return all
}

// setting is the value of a flag of ours; what is empty is null.
func (c *config) setting(kind string, f *flag.Flag) json.RawMessage {
	text := f.Value.String()
	switch {
	case text == "":
		return json.RawMessage("null")
	case f.Name == "api-key":
		return json.RawMessage(`"(set)"`)
	case f.Name == "watchdog-timeout":
		return json.RawMessage(strconv.FormatFloat(c.Watchdog.Seconds(), 'f', -1, 64))
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || isSwitch(f) {
		return json.RawMessage(text)
	}
	return encode(kind, text)
}
