package main

import (
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"scored/app"
)

// TestFlagFaults: a wrong flag is one sentence with the remedy and status 2, whichever
// the command and the kind of its value.
func TestFlagFaults(t *testing.T) {
	for _, c := range []struct {
		line string
		env  lookup
		want string
	}{
		{"serve --nope", environment(), "flag --nope is unknown; scored serve -h lists them"},
		{"batch --nope", environment(), "flag --nope is unknown; scored batch -h lists them"},
		{"bench --nope=3", environment(), "flag --nope is unknown; scored bench -h lists them"},
		{"bench -nope", environment(), "flag --nope is unknown; scored bench -h lists them"},
		{"compile --nope", environment(), "flag --nope is unknown; scored compile -h lists them"},
		{"calibrate --nope", environment(), "flag --nope is unknown; scored calibrate -h lists them"},
		{"setup cpu --nope", environment(), "flag --nope is unknown; scored setup -h lists them"},
		{"profile report --nope", environment(), "flag --nope is unknown; scored profile report -h lists them"},
		{"bench --clients", environment(), "flag --clients lacks its value; scored bench -h tells what it takes"},
		{"bench --clients many", environment(), `flag --clients is "many"; it must be a whole number`},
		{"bench --clients 99999999999999999999", environment(), `flag --clients is "99999999999999999999"; it must be a whole number, and not as large`},
		{"bench --seed -1", environment(), `flag --seed is "-1"; it must be a whole number of at least 0`},
		{"bench --rate fast", environment(), `flag --rate is "fast"; it must be a number`},
		{"bench --duration 5", environment(), `flag --duration is "5"; it must be a duration such as 90s or 5m`},
		{"bench --json=perhaps", environment(), `flag --json is "perhaps"; it must be true or false`},
		{`bench --clients "a\"`, environment(), `flag --clients is "\"a\\\""; it must be a whole number`},
		{"bench --=x", environment(), "bad flag syntax: --=x; scored bench -h tells how it is called"},
		{"bench stray", environment(), `argument "stray" is not a flag; scored bench takes flags alone`},
		{"serve --model m --max-queue lots", environment(), `flag --max-queue is "lots"; it must be a whole number`},
		{"serve --model m --page-size x", environment(), `flag --page-size is "x"; it must be a whole number`},
		{"serve --model m --watchdog-timeout soon", environment(), `flag --watchdog-timeout is "soon"; it must be seconds`},
		{"serve --model m --lora=,", environment(), `flag --lora is ","; it must be a folder`},
		{"bench", environment("SCORED_CLIENTS", "many"), `environment variable SCORED_CLIENTS is "many"; it must be a whole number`},
		{"bench", environment("SCORED_JSON", "yes"), `environment variable SCORED_JSON is "yes"; it must be true or false`},
		{"profile report x --slowest 0", environment("SCORED_DEVICE", "cuda"), "flag --slowest is 0"}, // and --device is not cuda
		{"nope", environment(), `command "nope" is unknown; use serve`},
	} {
		var stdout, stderr strings.Builder
		status := run(t.Context(), strings.Fields(c.line), c.env, &stdout, &stderr)
		said := strings.TrimSuffix(stderr.String(), "\n")
		if status != 2 || !strings.HasPrefix(said, "scored: "+c.want) || strings.Contains(said, "\n") || stdout.Len() > 0 {
			t.Errorf("%s: status %d and %q; want 2 and %q", c.line, status, said, c.want)
		}
	}
}

// TestHelp: every command lists its flags with -h, two dashes each, within the width of
// a terminal line as far as the texts before them go, and ends with status 0.
func TestHelp(t *testing.T) {
	for _, command := range []string{"batch", "bench", "compile", "calibrate", "setup", "profile report"} {
		var stderr strings.Builder
		status := run(t.Context(), append(strings.Fields(command), "-h"), environment(), io.Discard, &stderr)
		said := stderr.String()
		if status != 0 || !strings.HasPrefix(said, "usage: scored "+command) || !strings.Contains(said, "\n  --") {
			t.Errorf("%s -h: status %d and %q", command, status, said)
		}
		usage, _, _ := strings.Cut(said, "\n  --")
		for line := range strings.Lines(usage) {
			if len(line) > 101 {
				t.Errorf("%s -h has a line of %d bytes: %s", command, len(line), line)
			}
		}
	}
}

// TestVersion: both ways of asking have one answer.
func TestVersion(t *testing.T) {
	var said [2]strings.Builder
	for i, word := range []string{"version", "--version"} {
		if status := run(t.Context(), []string{word}, environment(), &said[i], io.Discard); status != 0 {
			t.Errorf("scored %s ends with status %d", word, status)
		}
	}
	if said[0].String() != said[1].String() || !strings.HasPrefix(said[0].String(), "scored ") {
		t.Errorf("version is %q, --version %q", said[0].String(), said[1].String())
	}
}

// TestFieldsNameFlags: what is wrong with a field of the Options is said of a flag that
// there is.
func TestFieldsNameFlags(t *testing.T) {
	flags := parse(t, environment(), "--model", "m").set
	named := regexp.MustCompile(`^flag --(\S+) `)
	fields := reflect.TypeFor[app.Options]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Tag.Get("validate") == "" {
			continue
		}
		o := app.Defaults()
		switch v := reflect.ValueOf(&o).Elem().Field(i); v.Kind() {
		case reflect.String:
			v.SetString(map[bool]string{false: "?"}[field.Tag.Get("validate") == "required"])
		default:
			v.SetInt(-100)
		}
		err := app.CheckFields(o, field.Name)
		if err == nil {
			t.Errorf("a wrong %s is taken", field.Name)
			continue
		}
		if m := named.FindStringSubmatch(err.Error()); m == nil || flags.Lookup(m[1]) == nil {
			t.Errorf("a wrong %s is told as %q, which names no flag", field.Name, err)
		}
	}
}
