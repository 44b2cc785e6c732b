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
// order, then our own. No secrets. The attention is what runs.
func settings(flags *flag.FlagSet, chosen app.Chosen) (all []server.Setting) {
	listed := map[string]bool{}
	for _, p := range launch.Flags() {
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

// xlaOptions are the compiler's options as JSON, null for none.
func xlaOptions(options map[string]string) json.RawMessage {
	data, _ := json.Marshal(options) // strings always encode
	return data
}

// setting is the value of a flag of ours, which may be sglang-jax's too. What is empty
// is null, and so is a number of 0 where sglang-jax has null by default.
func setting(p launch.Flag, f *flag.Flag, chosen app.Chosen) json.RawMessage {
	text := shownText(f)
	if f.Name == "attention-backend" {
		text = chosen.Attention
	}
	switch {
	case text == "", text == "0" && string(p.Default) == "null":
		return json.RawMessage("null")
	case f.Name == "watchdog-timeout":
		timeout := time.Duration(*f.Value.(*launch.Seconds))
		return json.RawMessage(strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil || launch.IsSwitch(f) {
		return json.RawMessage(text)
	}
	return launch.JSON(p.Kind, text)
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
