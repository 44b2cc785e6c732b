package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scored/profile"
	"scored/score"
)

// takeTrace records one step of 64 tokens and returns the log folder.
func takeTrace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p := profile.New(profile.Config{DefaultDir: dir, DeviceName: "TPU v6 lite",
		Cost: func(score.Bucket) (flops, bytes float64) { return 1e9, 1e6 }})
	if err := p.Start(profile.Options{}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p.Observe(score.Span{Stage: score.StageStep, Number: 1, Start: now, End: now.Add(time.Millisecond), Tokens: 48, Bucket: score.Bucket{Tokens: 64, Rows: 4}})
	for _, id := range []string{"first", "second"} {
		p.Observe(score.Span{Stage: score.StageReply, RequestID: id, Start: now, End: now.Add(time.Millisecond)})
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestProfileReport(t *testing.T) {
	dir := takeTrace(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says string // on stdout if the code is 0, else on stderr
		not  string // on either
	}{
		{"text", []string{"report", dir}, 0, "TIME PER EXECUTABLE", "<"},
		{"flags behind", []string{"report", dir, "--slowest", "1", "--html"}, 0, "<td>first</td>", "<td>second</td>"},
		{"flags before", []string{"report", "--html", "--slowest=2", dir}, 0, "<td>second</td>", "COMPARISON"},
		{"against", []string{"report", dir, "--against", dir}, 0, "COMPARISON", "<"},
		{"device", []string{"report", dir, "--device", "h100"}, 0, "h100", "v6"},
		{"help", []string{"report", "-h"}, 0, "", "TRACE"},
		{"help of profile", []string{"--help"}, 0, "", "TRACE"},
		{"no command", nil, 2, "use report", ""},
		{"other command", []string{"delete", dir}, 2, `"delete"`, ""},
		{"no folder", []string{"report"}, 2, "has 0", ""},
		{"two folders", []string{"report", dir, dir}, 2, "has 2", ""},
		{"unknown flag", []string{"report", dir, "--fast"}, 2, "flag --fast is unknown; scored profile report -h", ""},
		{"no requests asked", []string{"report", dir, "--slowest", "0"}, 2, "at least 1", ""},
		{"unknown device", []string{"report", dir, "--device", "abacus"}, 2, "use one of", ""},
		{"against nothing", []string{"report", dir, "--against", filepath.Join(dir, "none")}, 2, "flag --against", ""},
		{"against no trace", []string{"report", dir, "--against", t.TempDir()}, 2, "flag --against", ""},
		{"missing folder", []string{"report", filepath.Join(dir, "none")}, 1, "no such file", ""},
		{"no trace", []string{"report", t.TempDir()}, 1, "has no trace", ""},
		{"no .xplane.pb", []string{"report", file}, 1, "has no trace", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"profile"}, test.args...), os.LookupEnv, &stdout, &stderr)
			said := stdout.String()
			if code != 0 {
				said = stderr.String()
			}
			if code != test.code || !strings.Contains(said, test.says) || test.not != "" && strings.Contains(said, test.not) {
				t.Errorf("exit %d, want %d with %q\nstdout: %s\nstderr: %s", code, test.code, test.says, stdout.String(), stderr.String())
			}
		})
	}
}
