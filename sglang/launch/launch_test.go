package launch

import (
	"encoding/json"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// flags returns a set with sglang-jax's flags and a few of a server's own.
func flags() *flag.FlagSet {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.String("mem-budget", "", "") // begins as --mem-fraction-static does
	f.String("cards", "", "")
	for _, p := range Flags() {
		switch {
		case p.Effect != Own:
		case p.Kind == Switch || p.Kind == Inverse:
			f.Bool(p.Flag(), false, "")
		default:
			f.String(p.Flag(), "", "")
		}
	}
	Add(f)
	return f
}

// TestTable: every line of the table has a kind and an effect that exist, a default that
// is JSON, and a reason unless scored has the flag. No name comes twice.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Flags() {
		known := slices.Contains([]Kind{Text, Int, Ints, Float, List, Switch, Inverse}, p.Kind) &&
			slices.Contains([]Effect{Own, Ignored, Fixed}, p.Effect)
		if !known || !json.Valid(p.Default) || (p.Reason == "") != (p.Effect == Own) || seen[p.Flag()] {
			t.Errorf("line %+v of flags.tsv is wrong", p)
		}
		seen[p.Flag()] = true
	}
	for alias, name := range Aliases() {
		if seen[alias] || !seen[name] {
			t.Errorf("alias %s of %s", alias, name)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct{ given, want, fault string }{
		{"--model-path m --trust-remote-code", "--model-path=m --trust-remote-code", ""},
		{"--mem-f 0.5", "--mem-fraction-static=0.5", ""},               // sglang-jax's flag before ours
		{"--car 3", "--cards=3", ""},                                   // ours, if it is the only one
		{"--mem-budget 3", "--mem-budget=3", ""},                       // a whole name
		{"--trust=false", "--trust-remote-code=false", ""},             // joined
		{"--random-seed -3", "--random-seed=-3", ""},                   // a number
		{"--lora-paths a b --port 1", "--lora-paths=a,b --port=1", ""}, // a list, up to the next flag
		{"x --port 1 y", "x --port=1 y", ""},                           // words of no flag
		{"-h --", "-h --", ""},
		{"--hel", "--help", ""},
		{"--port", "", "flag --port lacks its value"},
		{"--port --host h", "", "flag --port lacks its value"},
		{"--nope 1", "", "flag --nope is unknown"},
		{"--enable 1", "", "flag --enable is ambiguous: it may be --enable-"},
	} {
		got, err := Expand(strings.Fields(c.given), flags())
		if strings.Join(got, " ") != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s gives %q, %v; want %q, %q", c.given, got, err, c.want, c.fault)
		}
	}
	if got, err := Expand([]string{"--host", "-a b"}, flags()); err != nil || got[0] != "--host=-a b" {
		t.Errorf("a value with a dash and a blank: %q, %v", got, err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ given, ignored, fault string }{
		{"--port=1", "", ""},
		{"--sleep-on-idle", "--sleep-on-idle: ", ""},
		{"--tp-size=1", "", ""}, // refused but for its default
		{"--tp-size=+01", "", ""},
		{"--tp-size=2", "", "flag --tp-size=2 is not supported: "},
	} {
		f := flags()
		if err := f.Parse(strings.Fields(c.given)); err != nil {
			t.Fatal(err)
		}
		ignored, err := Check(f)
		if len(ignored) > 1 || !strings.HasPrefix(strings.Join(ignored, ""), c.ignored) || (c.ignored == "") != (len(ignored) == 0) ||
			(err == nil) != (c.fault == "") || err != nil && !strings.HasPrefix(err.Error(), c.fault) {
			t.Errorf("%s: ignored %q, error %v; want %q, %q", c.given, ignored, err, c.ignored, c.fault)
		}
	}
}

// TestValues: what Set accepts, JSON shows as Python does.
func TestValues(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string // want "" : refused
	}{
		{Text, `a"b`, `"a\"b"`}, {Int, "+07", "7"}, {Int, "-1", "-1"}, {Int, "1,2", ""}, {Int, "1.0", ""}, {Int, "", ""},
		{Ints, "1,+2,003", "[1,2,3]"}, {Ints, "1,,2", ""}, {Float, "1e-5", "1e-05"}, {Float, "2", "2.0"}, {Float, "nan", ""},
		{Float, "inf", ""}, {List, "a,b", `["a","b"]`}, {Switch, "T", "true"}, {Switch, "yes", ""}, {Inverse, "true", "false"},
		{Inverse, "0", "true"},
	} {
		v := &Value{kind: c.kind}
		err := v.Set(c.text)
		if (err == nil) != (c.want != "") || v.Given() != (err == nil) {
			t.Errorf("%s %q: %v", c.kind, c.text, err)
		} else if err == nil && string(v.Shown(v.String())) != c.want {
			t.Errorf("%s %q is shown as %s, want %s", c.kind, c.text, v.Shown(v.String()), c.want)
		}
	}
}

func TestVariables(t *testing.T) {
	read := func(set map[string]string) (Variables, error) {
		return ReadVariables(func(name string) (string, bool) { v, ok := set[name]; return v, ok })
	}
	v, err := read(nil)
	if err != nil || v.HealthTimeout != 20*time.Second || !v.LongerContexts || v.Offline || v.Platform != "" || len(v.Ignored) > 0 {
		t.Errorf("without variables: %+v, %v", v, err)
	}
	v, err = read(map[string]string{"SGLANG_HEALTH_CHECK_TIMEOUT": "1.5", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "No", "HF_HUB_OFFLINE": "ON",
		"JAX_PLATFORMS": "GPU,cpu", "SGLANG_WAIT_TIMEOUT": "3", "DISABLE_OPENAPI_DOC": ""})
	if err != nil || v.HealthTimeout != 1500*time.Millisecond || v.LongerContexts || !v.Offline || v.Platform != "cuda" || v.NoDocs ||
		len(v.Ignored) != 1 || !strings.HasPrefix(v.Ignored[0], "SGLANG_WAIT_TIMEOUT: ") {
		t.Errorf("with variables: %+v, %v", v, err)
	}
	for name, value := range map[string]string{"SGLANG_HEALTH_CHECK_TIMEOUT": "0", "SGL_FORCE_SHUTDOWN": "maybe", "JAX_PLATFORMS": "rocm",
		"SGLANG_USE_MODELSCOPE": "1"} {
		if _, err := read(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s gives error %v", name, value, err)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "10": 10 * time.Second, "0.25": 250 * time.Millisecond, "1m30s": 90 * time.Second,
		"1e2": 100 * time.Second, "-1": -1, "-1s": -1, "": -1, "nan": -1, "1e300": -1, "soon": -1} {
		s := Seconds(7)
		if err := s.Set(text); (err == nil) != (want >= 0) || err == nil && time.Duration(s) != want || err != nil && s != 7 {
			t.Errorf("%q is %v, %v; want %v", text, s.String(), err, want)
		}
	}
}
