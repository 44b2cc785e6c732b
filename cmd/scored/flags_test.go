package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"

	"scored/app"
	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
	"scored/sglang/launch"
	"scored/target"
)

// contractFlag is a line of the list of sglang-jax's flags: what happens to it at
// another value than its default. honoured: it means the same here; taken: no score
// depends on it, and the log says so; refused: the command ends with status 2.
type contractFlag struct{ flag, group, byDefault, other, outcome string }

func contractFlags(t *testing.T) (all []contractFlag) {
	t.Helper()
	data, err := os.ReadFile("../../tests/contract/flags.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, contractFlag{f[0], f[1], f[2], f[3], f[4]})
	}
	return all[1:] // the first names the columns
}

// arguments gives the flag the value.
func (f contractFlag) arguments(value string) []string {
	switch {
	case value == "on" && f.byDefault == "off":
		return []string{f.flag}
	case value == "on", value == "off":
		return []string{f.flag + map[string]string{"on": "=true", "off": "=false"}[value]}
	case value == `""`:
		return []string{f.flag, ""}
	}
	return append([]string{f.flag}, strings.Fields(value)...)
}

// shown is the flag's value in /get_server_info, as a launch line would write it.
func shown(c *config, name string) string {
	name = strings.TrimPrefix(name, "--")
	if full, ok := launch.Aliases()[name]; ok {
		name = full
	}
	for i, p := range launch.Flags() {
		if p.Flag() != name {
			continue
		}
		var value any
		d := json.NewDecoder(strings.NewReader(string(settings(c.set, app.Chosen{Attention: c.Attention})[i].Value)))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return err.Error()
		}
		on, isSwitch := value.(bool)
		switch {
		case isSwitch && on != (p.Kind == launch.Inverse):
			return "on"
		case isSwitch:
			return "off"
		}
		return strings.Trim(fmt.Sprint(value), "[]")
	}
	return "not listed"
}

// TestContractFlags: every flag of sglang-jax is taken at its default without a word,
// and does at another value what the contract's list says.
func TestContractFlags(t *testing.T) {
	special := map[string]string{"--api-key": "(set)", "--watchdog-timeout 90s": "90", "--disaggregation-shared-secret": "(set)"}
	unlisted := map[string]bool{}
	for _, p := range launch.Flags() {
		unlisted["--"+p.Flag()] = true
	}
	for _, f := range contractFlags(t) {
		delete(unlisted, f.flag)
		line := []string{"serve", "--model-path", "m"}
		if f.byDefault != "-" {
			if c := parse(t, environment(), append(line[1:], f.arguments(f.byDefault)...)...); f.outcome == "refused" && len(c.ignored) > 0 {
				t.Errorf("%s at its default: the log says %q", f.flag, c.ignored)
			}
		}
		arguments := slices.Concat(line, f.arguments(f.other))
		if f.outcome == "refused" {
			var stderr strings.Builder
			status := run(t.Context(), arguments, environment(), io.Discard, &stderr)
			name := f.flag
			if full, ok := launch.Aliases()[strings.TrimPrefix(name, "--")]; ok {
				name = "--" + full
			}
			said := strings.TrimSpace(stderr.String())
			if status != 2 || !strings.Contains(said, "flag "+name) || len(said) < len(name)+30 || strings.Contains(said, "\n") {
				t.Errorf("%s ends with status %d and %q; want 2, the flag's name and a reason", arguments, status, said)
			}
			continue
		}
		c, err := parseServe(arguments[1:], environment(), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", arguments, err)
			continue
		}
		want := f.other
		for _, key := range []string{f.flag, f.flag + " " + f.other} {
			if text, ok := special[key]; ok {
				want = text
			}
		}
		if got := shown(c, f.flag); got != want {
			t.Errorf("%s shows %q in /get_server_info, want %q", arguments, got, want)
		}
		if told := slices.ContainsFunc(c.ignored, func(s string) bool { return strings.HasPrefix(s, f.flag+": ") }); told != (f.outcome == "taken") {
			t.Errorf("%s: told that it does nothing is %t, and it is %s", arguments, told, f.outcome)
		}
	}
	if len(unlisted) > 0 {
		t.Errorf("not in the contract's list: %q", slices.Sorted(maps.Keys(unlisted)))
	}
}

// TestArguments are the ways of argparse.
func TestArguments(t *testing.T) {
	c := parse(t, environment("SCORED_MODEL_PATH", "other", "SCORED_DP_SIZE", "5"), "--model", "m", "--data-parallel-size=2", "--pref", "{}", "--api-key=-k", "--buckets", "64x1x64x0",
		"--chunked", "-1", "--precompile-bs-paddings", "1", "08", "--page-size=+4", "--enable-metrics=TRUE", "--mem", "1e-1", "--lora-scaling", "-2", "--warm=a", "--log-level", "INFO")
	if c.ModelPath != "m" || c.Replicas != 2 || c.Sampling != "{}" || c.APIKey != "-k" || c.ChunkedPrefill != -1 || !c.EnableMetrics || c.LogLevel != "info" {
		t.Errorf("config is %+v", c)
	}
	for name, want := range map[string]string{"precompile-bs-paddings": "1 8", "page-size": "4", "mem-fraction-static": "0.1", "lora-scaling": "-2.0", "warmups": "a"} {
		if got := shown(c, name); got != want {
			t.Errorf("--%s shows %s, want %s", name, got, want)
		}
	}
	for line, want := range map[string]string{
		"--model m --port":                         "--port lacks its value",
		"--model-path --dtype bfloat16":            "--model-path lacks its value",
		"--model m --precompile-bs-paddings --por": "--precompile-bs-paddings lacks its value",
		"--model m --precompile-bs-paddings 1 a":   `--precompile-bs-paddings is "1,a"; it must be a whole number`,
		"--model m --page-size 1,2":                "it must be a whole number",
		"--model m --mem-fraction-static nan":      "it must be a finite number",
		"--model m --trust-remote-code=perhaps":    "it must be true or false",
		"--model m --watchdog-timeout inf":         "it must be seconds",
		"--model m --watchdog-timeout -3":          "it must be seconds",
		"--model m --mod x":                        "--mod is ambiguous: it may be --model, --model-impl, --model-layer-nums",
		"--model m --str":                          "--str is ambiguous: it may be --stream-interval, --stream-output",
		"--model m --profile-root no/such":         "must be a folder that exists",
		"--model m --port 99999":                   `--port is "99999"; it must be at most 65535`,
	} {
		_, err := parseServe(strings.Fields(line), environment(), io.Discard)
		var wrong app.UsageError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to say %q", line, err, want)
		}
	}
}

// TestIgnoredVariables: a variable of sglang-jax that does nothing here is named in the
// log.
func TestIgnoredVariables(t *testing.T) {
	c := parse(t, environment("SGLANG_WAIT_TIMEOUT", "4", "SGLANG_LOGGING_CONFIG_PATH", "", "HF_HUB_OFFLINE", "False"), "--model", "m")
	if len(c.ignored) != 1 || !strings.HasPrefix(c.ignored[0], "SGLANG_WAIT_TIMEOUT: ") || c.Offline {
		t.Errorf("told of %q, offline %t", c.ignored, c.Offline)
	}
	for name, env := range map[string]lookup{
		"JAX_PLATFORMS":               environment("JAX_PLATFORMS", "rocm"),
		"SGLANG_HEALTH_CHECK_TIMEOUT": environment("SGLANG_HEALTH_CHECK_TIMEOUT", "0"),
	} {
		if _, err := parseServe([]string{"--model", "m"}, env, io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want it named", name, err)
		}
	}
}

// TestCapacity: sglang-jax's bounds of memory and of a step reach the planner.
func TestCapacity(t *testing.T) {
	cfg := checkpoint.Qwen3_0_6B()
	options := func(args ...string) (model.Options, error) {
		o, _, err := parse(t, environment(), append([]string{"--model", "m"}, args...)...).engineOptions(cfg)
		return o, err
	}
	for _, c := range []struct {
		line string
		want int64
	}{
		{"", 1 << 30},
		{"--max-total-tokens 1000", 1000 * 28 * 2 * 8 * 128 * 4},
		{"--max-total-tokens 1000 --device tpu", 1000 * 28 * 2 * 8 * 128 * 2},
		{"--max-total-tokens 1000000000", 1 << 30},
	} {
		if o, err := options(strings.Fields(c.line)...); err != nil || o.PrefixCacheBytes != c.want {
			t.Errorf("%q: %d bytes of prefixes, %v; want %d", c.line, o.PrefixCacheBytes, err, c.want)
		}
	}
	cpu, _ := target.Find("cpu", "")
	if o, _ := options("--dtype", "bfloat16"); o.DType != dtypes.BFloat16 || (o.Products == dtypes.BFloat16) != (cpu.ProductsOf(target.BFloat16) == target.BFloat16) {
		t.Errorf("bfloat16 on the CPU multiplies %s weights as %s", o.DType, o.Products)
	}
	for line, most := range map[string]int{"": 1024, "--chunked-prefill-size 512": 512, "--chunked-prefill-size -1 --max-prefill-tokens 300": 256} {
		o, err := options(strings.Fields(line)...)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		longest := 0
		for _, b := range o.Buckets {
			longest = max(longest, b.Tokens)
		}
		if longest != most {
			t.Errorf("%q: the longest step has %d tokens, want %d", line, longest, most)
		}
	}
	for line, most := range map[string]int{
		"": 8192, "--chunked-prefill-size 4096": 4096, "--chunked-prefill-size 2048": 2048, "--chunked-prefill-size -1": 8192, "--max-prefill-tokens 4096": 4096,
	} {
		o, err := options(strings.Fields("--device cuda " + line)...)
		if longest := slices.MaxFunc(o.Buckets, func(a, b score.Bucket) int { return a.Tokens - b.Tokens }); err != nil || longest.Tokens != most {
			t.Errorf("%q on a GPU: the longest step has %d tokens, %v; want %d", line, longest.Tokens, err, most)
		}
	}
	if _, err := options("--chunked-prefill-size", "32"); err == nil || !strings.Contains(err.Error(), "--chunked-prefill-size") {
		t.Errorf("a bound that leaves no shape for the longest prompts: error %v", err)
	}
	if _, err := options("--chunked-prefill-size", "64", "--context-length", "512"); err != nil {
		t.Errorf("steps of 64 tokens hold prompts of 512: %v", err)
	}
	c := parse(t, environment("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", "0"), "--model", "m", "--context-length", fmt.Sprint(cfg.MaxPositions+1))
	if _, _, err := c.engineOptions(cfg); err == nil || !strings.Contains(err.Error(), "--context-length") {
		t.Errorf("a context longer than the model's: error %v", err)
	}
	if c.DrainTimeout != 30*time.Second {
		t.Errorf("drain timeout is %s", c.DrainTimeout)
	}
}
