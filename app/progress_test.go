package app

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scored/model"
)

// TestProgress: while a start lasts, the log says every few seconds what it does, and
// nothing after.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said lines
		p := newProgress(slog.New(slog.NewTextHandler(&said, nil)), 5*time.Second)
		expect := func(what string, wants ...string) {
			t.Helper()
			synctest.Wait()
			lines := strings.Split(strings.TrimSpace(said.take()), "\n")
			if len(wants) == 0 && lines[0] == "" {
				return
			}
			if len(lines) != len(wants) {
				t.Errorf("%s: %q, want %q", what, lines, wants)
				return
			}
			for i, want := range wants {
				if !strings.Contains(lines[i], want) {
					t.Errorf("%s: %q, want %q", what, lines[i], want)
				}
			}
		}
		time.Sleep(6 * time.Second)
		expect("before anything takes long")
		p.begin("fetching", func() string { return "fetched 0.1 GB" })
		time.Sleep(5 * time.Second)
		expect("fetching", "msg=fetching", `"starting: fetched 0.1 GB" elapsed=10s`)
		report := p.engine(true, 1, 2)
		report(model.StageWeights, 4e8, 1.2e9)
		expect("first weights", `"starting: generated 0.4 of 1.2 GB of weights for device 2 of 2" elapsed=11s`)
		report(model.StageWeights, 12e8, 1.2e9)
		report(model.StageCompile, 1, 75)
		expect("first program", "compiled 1 of 75 programs for device 2 of 2")
		report(model.StageCompile, 12, 75)
		time.Sleep(10 * time.Second) // one program may take longer than a line's interval
		expect("compiling", "compiled 12 of 75", "compiled 12 of 75")
		p.engine(false, 0, 1)(model.StageWeights, 5e8, 1.2e9)
		expect("a checkpoint", `"starting: read 0.5 of 1.2 GB of weights"`)
		p.enter("timing", func() string { return "2 of 9 steps" })
		expect("another phase", `"timing: 2 of 9 steps"`)
		time.Sleep(5 * time.Second)
		expect("the phase goes on", `"timing: 2 of 9 steps"`)
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		expect("afterwards")
	})
}
