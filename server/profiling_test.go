package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProfileHelper sends what sglang-jax's profiling helper sends: server info, then a
// start with its counts as strings.
func TestProfileHelper(t *testing.T) {
	s, dir := newTestServer(t, nil), t.TempDir()
	if w := send(s, "GET", "/get_server_info", ""); w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	body := `{"output_dir":"` + dir + `","num_steps":"2","activities":["CPU","GPU"],"profile_by_stage":false,"profile_stages":null}`
	w := send(s, "POST", "/start_profile", body)
	if w.Code != http.StatusOK || w.Body.String() != "Start profiling.\n" || w.Header().Get("Content-Type") != "" {
		t.Fatalf("status %d, content type %q: %q", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	status := func() string { return send(s, "GET", "/profile_status", "").Body.String() }
	if got := status(); got != `{"status":"in_progress"}` {
		t.Errorf("status %s while it records", got)
	}
	if got := send(s, "GET", "/profile_status?details=true", "").Body.String(); !strings.Contains(got, `"state":"recording","dir":"`+dir+`"`) {
		t.Errorf("details %s while it records, want the folder %s", got, dir)
	}
	for range 2 {
		if w := send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`); w.Code != http.StatusOK {
			t.Fatalf("scoring while profiling: %d %s", w.Code, w.Body)
		}
	}
	if w := send(s, "POST", "/stop_profile", ""); w.Code != http.StatusOK || w.Body.String() != "Stop profiling. This will take some time.\n" {
		t.Fatalf("stop: %d %q", w.Code, w.Body)
	}
	for _, pattern := range []string{"*.xplane.pb", "*.trace.json.gz"} {
		if files, _ := filepath.Glob(filepath.Join(dir, "plugins/profile/*", pattern)); len(files) != 1 {
			t.Errorf("%d files %s when stop has answered, want 1", len(files), pattern)
		}
	}
	var details struct {
		State, Dir string
		Steps      int
		Truncated  bool
	}
	if err := json.Unmarshal(send(s, "GET", "/profile_status?details=true", "").Body.Bytes(), &details); err != nil {
		t.Fatal(err)
	}
	if details.State != "idle" || details.Steps != 2 || details.Truncated || !strings.HasPrefix(details.Dir, dir) {
		t.Errorf("details %+v, want 2 steps below %s", details, dir)
	}
	if got := status(); got != `{"status":"idle"}` {
		t.Errorf("status %s after the stop", got)
	}
}

// TestProfileBodies that are large, or would be once read, are refused for that.
func TestProfileBodies(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.MaxBody = 64 << 20 })
	for name, body := range map[string]string{
		"text":   `{"output_dir":"` + strings.Repeat("x", maxProfileBody) + `"}`,
		"blanks": strings.Repeat(" ", maxProfileBody+1),
	} {
		if w := send(s, "POST", "/start_profile", body); w.Code != http.StatusRequestEntityTooLarge || w.Body.Len() > 1000 {
			t.Errorf("%s: status %d, %d bytes; want a short 413", name, w.Code, w.Body.Len())
		}
	}
}

func TestProfileFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		param  string
	}{
		"relative":       {`{"output_dir":"a/b"}`, 400, "output_dir"},
		"a file":         {`{"output_dir":"` + file + `"}`, 400, "output_dir"},
		"below a file":   {`{"output_dir":"` + file + `/x"}`, 400, "output_dir"},
		"cloud":          {`{"output_dir":"gs://bucket/x"}`, 400, "output_dir"},
		"negative steps": {`{"num_steps":-1}`, 400, "num_steps"},
		"unknown stage":  {`{"profile_by_stage":true,"profile_stages":["train"]}`, 400, "profile_stages"},
		"schema":         {`{"num_steps":[]}`, 400, ""},
		"broken":         {`{`, 400, ""},
		"not an object":  {`[]`, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, nil)
			w := send(s, "POST", "/start_profile", c.body)
			if w.Code != c.status || w.Header().Get("X-Scored-Error-Param") != c.param {
				t.Errorf("status %d, param %q, want %d, %q: %s", w.Code, w.Header().Get("X-Scored-Error-Param"), c.status, c.param, w.Body)
			}
			if w := send(s, "GET", "/profile_status", ""); w.Body.String() != `{"status":"idle"}` {
				t.Errorf("status %s after a refused start", w.Body)
			}
		})
	}
}

// TestProfileTwice: a second start and a stop without a session are conflicts, or
// sglang-jax's bare 500.
func TestProfileTwice(t *testing.T) {
	for _, emulate := range []bool{false, true} {
		s := newTestServer(t, func(c *Config, _ *Model) { c.EmulateSGLang = emulate })
		want := http.StatusConflict
		if emulate {
			want = http.StatusInternalServerError
		}
		if w := send(s, "POST", "/stop_profile", ""); w.Code != want {
			t.Errorf("stop while idle gives %d, want %d", w.Code, want)
		}
		if w := send(s, "GET", "/start_profile", ""); w.Code != http.StatusOK {
			t.Fatalf("start gives %d: %s", w.Code, w.Body)
		}
		w := send(s, "POST", "/start_profile", "{}")
		if w.Code != want || emulate && w.Body.String() != "Internal Server Error" {
			t.Errorf("second start gives %d %q, want %d", w.Code, w.Body, want)
		}
		if w := send(s, "GET", "/stop_profile", ""); w.Code != http.StatusOK {
			t.Errorf("the first session did not survive: %d %s", w.Code, w.Body)
		}
	}
}

// TestProfileArmedTwice: a session that is armed and has not begun is replaced, as in
// sglang-jax, and can be stopped.
func TestProfileArmedTwice(t *testing.T) {
	for _, emulate := range []bool{false, true} {
		s := newTestServer(t, func(c *Config, _ *Model) { c.EmulateSGLang = emulate })
		for _, body := range []string{`{"start_step":1000}`, `{"start_step":2000}`, `{}`} {
			if w := send(s, "POST", "/start_profile", body); w.Code != http.StatusOK {
				t.Errorf("%s gives %d: %s", body, w.Code, w.Body)
			}
		}
		if w := send(s, "POST", "/start_profile", `{"start_step":1000}`); w.Code == http.StatusOK {
			t.Errorf("a session that records is replaced: %d", w.Code)
		}
		if w := send(s, "POST", "/stop_profile", ""); w.Code != http.StatusOK {
			t.Errorf("stop gives %d: %s", w.Code, w.Body)
		}
	}
}

// TestProfileStages: what stages are called matters with profile_by_stage alone, and the
// API's description has no enum.
func TestProfileStages(t *testing.T) {
	for body, want := range map[string]int{
		`{"profile_stages":["AAA"]}`:                               200,
		`{"profile_by_stage":false,"profile_stages":["AAA"]}`:      200,
		`{"profile_by_stage":true,"profile_stages":["AAA"]}`:       400,
		`{"profile_by_stage":true,"profile_stages":["prefill"]}`:   200,
		`{"profile_by_stage":true,"profile_stages":["decode"]}`:    200,
		`{"profile_by_stage":true,"profile_stages":["prefill",1]}`: 400,
	} {
		if w := send(newTestServer(t, nil), "POST", "/start_profile", body); w.Code != want {
			t.Errorf("%s gives %d, want %d: %s", body, w.Code, want, w.Body)
		}
	}
	var api struct {
		Components struct {
			Schemas map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(openAPI), &api); err != nil || strings.Contains(string(api.Components.Schemas["ProfileRequest"]), "enum") {
		t.Errorf("description of a profile's request: %s, %v", api.Components.Schemas["ProfileRequest"], err)
	}
}

// TestProfileBodyBound: the bound of all bodies is also that of a profile's.
func TestProfileBodyBound(t *testing.T) {
	s := newTestServer(t, func(c *Config, _ *Model) { c.MaxBody = 100 })
	if w := send(s, "POST", "/start_profile", strings.Repeat(" ", 101)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", w.Code)
	}
}

// TestNoProfiler: a server without one says so on each path, and starts nothing.
func TestNoProfiler(t *testing.T) {
	s := newTestServer(t, nil)
	without := *s.model.Load().Model
	without.Profiler = nil
	s.Serve(&without)
	for method, paths := range map[string][]string{"GET": {"/profile_status", "/start_profile"}, "POST": {"/start_profile", "/stop_profile"}} {
		for _, path := range paths {
			if w := send(s, method, path, ""); w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), "profiling is not built into this server") {
				t.Errorf("%s %s gives %d %s", method, path, w.Code, w.Body)
			}
		}
	}
}
