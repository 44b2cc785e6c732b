package hub

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn is a hub with one model. fault, if set, may answer a request itself, and
// reports whether it did.
type standIn struct {
	// mu must be held for the fields below.
	mu       sync.Mutex
	commit   string            // of main
	files    map[string]string // of that commit; a commit's map does not change
	fault    func(w http.ResponseWriter, r *http.Request) bool
	requests []string // method and path of each
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func (h *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.Path)
	fault, commit, files := h.fault, h.commit, h.files
	h.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if r.URL.Path == "/api/models/org/tiny/revision/main" {
		fmt.Fprintf(w, `{"id":"org/tiny","sha":"%s","siblings":[%s]}`, commit, siblings(files, r.FormValue("blobs") == "true"))
		return
	}
	_, name, _ := strings.Cut(r.URL.Path, "/resolve/"+commit+"/")
	name = cmp.Or(name, strings.TrimPrefix(r.URL.Path, "/elsewhere/"))
	body, ok := files[name]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.URL.Path == "/elsewhere/"+name: // its store names a large file in its own way
		w.Header().Set("ETag", `"of-the-store-`+digestOf(body)[:8]+`"`)
	case isLarge(body):
		w.Header().Set("X-Linked-ETag", `"`+digestOf(body)+`"`)
		http.Redirect(w, r, "/elsewhere/"+name+"?signature=s", http.StatusFound)
		return
	default:
		w.Header().Set("ETag", `"`+digestOf(body)+`"`)
	}
	w.Header().Set("X-Repo-Commit", commit)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
}

// asked is the requests so far, in one string.
func (h *standIn) asked() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.requests, " ")
}

// push makes another commit of main.
func (h *standIn) push(commit string, files map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commit, h.files = commit, files
}

// mend ends the fault.
func (h *standIn) mend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = nil
}

// siblings is the hub's list of files.
func siblings(files map[string]string, digests bool) string {
	var all []string
	for name, body := range files {
		file := `{"rfilename":"` + name + `"`
		switch {
		case digests && isLarge(body):
			file += `,"blobId":"of the pointer","lfs":{"sha256":"` + digestOf(body) + `","size":1}`
		case digests:
			file += `,"blobId":"` + digestOf(body) + `"`
		}
		all = append(all, file+"}")
	}
	return strings.Join(all, ",")
}

// isLarge tells files that git keeps a pointer to from those that it keeps itself.
func isLarge(body string) bool { return len(body) >= 1000 }

func digestOf(body string) string {
	if isLarge(body) {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	}
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(body), body)))
}

func newStandIn(t *testing.T, fault func(w http.ResponseWriter, r *http.Request) bool) (*standIn, Model) {
	t.Helper()
	h := &standIn{fault: fault, commit: commit, files: map[string]string{"config.json": `{"model_type":"qwen3"}`, "tokenizer.json": "{}", "model.safetensors": strings.Repeat("w", 5000),
		"README.md": "not needed", "onnx/model.safetensors": "not needed either"}}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	t.Setenv("HF_ENDPOINT", web.URL)
	t.Setenv("HF_TOKEN", "")
	return h, testModel("org/tiny", "main", t.TempDir(), false)
}

// testModel is a model whose download is not told of.
func testModel(id, revision, dir string, offline bool) Model {
	return Model{ID: id, Revision: revision, Dir: dir, Offline: offline, Log: slog.New(slog.DiscardHandler), Begin: func(string, func() string) {}}
}

// downloadNow is Download without a check.
func (m Model) downloadNow(t *testing.T) (string, error) {
	return m.Download(t.Context(), func(string) error { return nil })
}

func TestDownload(t *testing.T) {
	h, c := newStandIn(t, nil)
	dir, err := c.downloadNow(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != h.files[name] {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
	if asked := h.asked(); strings.Contains(asked, "README") || strings.Contains(asked, "onnx") {
		t.Errorf("fetched what the model does not need: %s", asked)
	}
	// With the hub gone, the cache serves; so does --offline, without asking.
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	for _, c.Offline = range []bool{false, true} {
		if again, err := c.downloadNow(t); err != nil || again != dir {
			t.Errorf("offline %t: %q, %v; want the cached %q", c.Offline, again, err, dir)
		}
	}
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.downloadNow(t); err == nil {
		t.Error("a cached model without weights is served")
	}
}

// TestDownloadFollowsBranch: when the branch has moved, the files of its new commit are
// fetched, those that the old one did not have among them.
func TestDownloadFollowsBranch(t *testing.T) {
	h, c := newStandIn(t, nil)
	old, err := c.downloadNow(t)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"config.json": `{"model_type":"qwen3"}`, "tokenizer.json": "{}", "model.safetensors.index.json": `{"weight_map":{}}`}
	for i := range 30 { // more than the library has places for
		files[fmt.Sprintf("model-%d.safetensors", i)] = strings.Repeat(fmt.Sprintf("%02d", i), 1000)
	}
	h.push("fedcba9876543210fedcba9876543210fedcba98", files)
	dir, err := c.downloadNow(t)
	if err != nil || dir == old {
		t.Fatalf("%s, %v; want another folder than %s", dir, err, old)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
}

// TestDownloadFaults: one sentence with the remedy, and the next try works.
func TestDownloadFaults(t *testing.T) {
	only := func(suffix string, do http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, suffix) {
				do(w, r)
				return true
			}
			return false
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"no such model":   {only("/revision/main", status(404)), "check the name, or set HF_TOKEN"},
		"private":         {only("/revision/main", status(401)), "set HF_TOKEN"},
		"hub is down":     {only("/revision/main", status(503)), "status 503; try again later"},
		"file is missing": {only("/model.safetensors", status(404)), "does not download"},
		"body is cut": {only("/model.safetensors", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write([]byte("www"))
		}), "file model.safetensors did not arrive whole; try again"},
		"small body cut": {only("/config.json", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = w.Write([]byte("{"))
		}), "file config.json did not arrive whole; try again"},
		"body is wrong":    {only("/model.safetensors", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strings.Repeat("x", 5000))) }), "it has been removed"},
		"connection drops": {only("/model.safetensors", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "does not download"},
	} {
		t.Run(name, func(t *testing.T) {
			h, config := newStandIn(t, c.fault)
			_, err := config.downloadNow(t)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line with %q", err, c.want)
			}
			h.mend()
			if dir, err := config.downloadNow(t); err != nil {
				t.Errorf("the next try: %v", err)
			} else if got, _ := os.ReadFile(filepath.Join(dir, "model.safetensors")); string(got) != h.files["model.safetensors"] {
				t.Errorf("the next try leaves %d bytes of weights", len(got))
			}
		})
	}
}

// TestDownloadChecksFirst: what the check refuses by the config is known before weights
// are fetched.
func TestDownloadChecksFirst(t *testing.T) {
	h, c := newStandIn(t, nil)
	wrong := errors.New("cannot work")
	_, err := c.Download(t.Context(), func(dir string) error {
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
			t.Error(err)
		}
		return wrong
	})
	if !errors.Is(err, wrong) || strings.Contains(h.asked(), "model.safetensors") {
		t.Errorf("error %v after asking for %s", err, h.asked())
	}
}

// TestDownloadStops: a stop does not wait for a hub that hangs.
func TestDownloadStops(t *testing.T) {
	for _, path := range []string{"/api/models/org/tiny/revision/main", "/config.json", "/model.safetensors"} {
		t.Run(path, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			release := make(chan struct{})
			_, c := newStandIn(t, func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, path) {
					return false
				}
				cancel()
				<-release
				return true
			})
			t.Cleanup(func() { close(release) }) // before the stand-in closes, which waits for its answers
			if _, err := c.Download(ctx, func(string) error { return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}
