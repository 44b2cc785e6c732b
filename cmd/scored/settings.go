package main

import (
	"encoding/json"
	"flag"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scored/app"
	"scored/server"
	"scored/sglang/launch"
)

// settings lists every flag's value for /get_server_info: sglang-jax's names in its
// order, then our own. The attention is the one that runs, not the one that was asked
// for, and there are no secrets. flags must be those of serve.
func settings(flags *flag.FlagSet, chosen app.Chosen) (all []server.Setting) {
	listed := map[string]bool{}
	for _, p := range launch.Flags() { // clients of sglang-jax may go by the order
		listed[p.Flag()] = true
		f := flags.Lookup(p.Flag())
		value := p.Default
		if v, ok := f.Value.(*launch.Value); !ok {
			value = setting(p, f, chosen)
		} else if v.Given() {
			value = v.Shown(shownText(f))
		}
		all = append(all, server.Setting{Name: p.Name, Value: value})
	}
	flags.VisitAll(func(f *flag.Flag) {
		if launch.Aliases()[f.Name] == "" && !listed[f.Name] {
			all = append(all, server.Setting{Name: strings.ReplaceAll(f.Name, "-", "_"),
				Value: setting(launch.Flag{Kind: launch.Text}, f, chosen)})
		}
	})
	return append(all, server.Setting{Name: "xla_options", Value: xlaOptions(chosen.Compile)})
}

// xlaOptions returns the compiler's options as a JSON object; null for none.
func xlaOptions(options map[string]string) json.RawMessage {
	data, _ := json.Marshal(options) // strings always encode
	return data
}

// setting returns the value of a flag of ours as JSON. p says of what kind it is, and
// what sglang-jax's default is if it has the flag too. An empty text is null, and so is a
// 0 where sglang-jax has null by default: there it means that nothing is set.
func setting(p launch.Flag, f *flag.Flag, chosen app.Chosen) json.RawMessage {
	text := shownText(f)
	if f.Name == "attention-backend" {
		text = chosen.Attention
	}
	switch {
	case text == "", text == "0" && string(p.Default) == "null":
		return json.RawMessage("null")
	case f.Name == "watchdog-timeout": // a number of seconds in sglang-jax, a duration here
		timeout := time.Duration(*f.Value.(*launch.Seconds))
		return json.RawMessage(strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || launch.IsSwitch(f) {
		return json.RawMessage(text)
	}
	return launch.JSON(p.Kind, text)
}

// shownText returns a flag's value without secrets: a key, or the password in an address.
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
