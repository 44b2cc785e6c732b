package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// profileRequests: a profile that cannot be recorded is refused at once, and the profiler
// stays as it was.
func (c client) profileRequests() {
	dir := c.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		c.Fatal(err)
	}
	for _, r := range []struct {
		row, path, body string
		status          int
		state           string // of the profiler afterwards
	}{
		{"43 stop without a start", "/stop_profile", "", 409, "idle"},
		{"45 relative", "/start_profile", `{"output_dir":"rel/dir"}`, 400, "idle"},
		{"45 upwards", "/start_profile", `{"output_dir":"../../etc"}`, 400, "idle"},
		{"45 a file", "/start_profile", `{"output_dir":"` + file + `"}`, 400, "idle"},
		{"46 negative", "/start_profile", `{"num_steps":-1}`, 400, "idle"},
		{"46 no number", "/start_profile", `{"num_steps":"many"}`, 400, "idle"},
		{"46 text", "/start_profile", `{"output_dir":"` + dir + `","num_steps":"5"}`, 200, "in_progress"},
		{"42 second start", "/start_profile", `{"output_dir":"` + dir + `"}`, 409, "in_progress"},
		{"42 stop", "/stop_profile", "", 200, "idle"},
		{"46 huge", "/start_profile", `{"output_dir":"` + dir + `","num_steps":1000000000000000000000000000000}`, 200, "in_progress"},
		{"46 stop", "/stop_profile", "", 200, "idle"},
	} {
		if status, text := post(c.T, c.address, r.path, r.body); status != r.status {
			c.Errorf("%s: status %d, want %d: %s", r.row, status, r.status, text)
		}
		if got := c.profileState(); got != r.state {
			c.Errorf("%s: profiler is %s, want %s", r.row, got, r.state)
		}
	}
}

func (c client) profileState() string {
	c.Helper()
	response, err := http.Get("http://" + c.address + "/profile_status")
	if err != nil {
		c.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(readAll(c.T, response), `{"status":"`), `"}`)
}

// profileUnderLoad: no score fails because of a profile, and a second start does not
// spoil the first.
func (c client) profileUnderLoad() {
	dir := c.TempDir()
	var stop atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				if got := try(c.address, `{"model":"m","query":"Is this spam? ","items":["Buy now","Lunch at noon"],"label_token_ids":[1]}`); got != http.StatusOK {
					c.Errorf("score during a profile: status %d", got)
				}
			}
		})
	}
	for range 3 {
		c.record(dir)
	}
	stop.Store(true)
	load.Wait()
	traces, err := filepath.Glob(filepath.Join(dir, "plugins/profile/*"))
	if err != nil || len(traces) != 3 {
		c.Errorf("%d profiles, want 3: %v", len(traces), err)
	}
}

// record profiles some steps into dir. Meanwhile a second start is refused.
func (c client) record(dir string) {
	c.Helper()
	start := `{"output_dir":"` + dir + `"}`
	if status, text := post(c.T, c.address, "/start_profile", start); status != http.StatusOK {
		c.Fatalf("start: %d %s", status, text)
	}
	for range 5 {
		c.score(fields{"query": "Is this spam? ", "items": []string{"Buy now"}})
	}
	if status, _ := post(c.T, c.address, "/start_profile", start); status != http.StatusConflict {
		c.Errorf("second start gives %d, want 409", status)
	}
	if status, text := post(c.T, c.address, "/stop_profile", ""); status != http.StatusOK {
		c.Errorf("stop: %d %s", status, text)
	}
}

// wantProfile reads the profile in dir with the binary itself, which demands complete
// files.
func wantProfile(c client, scored, dir string) {
	c.Helper()
	out, err := exec.Command(scored, "profile", "report", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "steps") {
		c.Errorf("profile in %s cannot be read: %v\n%s", dir, err, out)
	}
}
