package wheel

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// testWheel makes a wheel whose library is incompressible enough to be cut, and its pin.
func testWheel(t *testing.T) (pin, []byte) {
	t.Helper()
	library := make([]byte, 0, 100_000)
	for i := 0; len(library) < cap(library); i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		library = append(library, sum[:]...)
	}
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	for name, content := range map[string][]byte{"toy/plugin.so": library, "toy-1.dist-info/LICENSE": []byte("free")} {
		w, err := archive.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return pin{
		name: "toy", library: "toy/plugin.so", sha256: digestOf(library),
		wheels: []wheel{{name: "toy", version: "1", tags: "py3-none-any", size: int64(file.Len()), sha256: digestOf(file.Bytes())}},
	}, file.Bytes()
}

// serveIndex is a package index whose page, in HTML, leads through a redirect to the
// handler of the file.
func serveIndex(t *testing.T, p pin, file http.HandlerFunc) Options {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/simple/toy/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<html><a href="other.whl">other.whl</a><a href="../../moved/toy.whl#sha256=0" data-x="1">%s</a></html>`, p.wheels[0].file())
	})
	mux.Handle("/moved/toy.whl", http.RedirectHandler("/files/toy.whl", http.StatusFound))
	mux.HandleFunc("/files/toy.whl", file)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return Options{Folder: t.TempDir(), IndexURL: server.URL + "/simple", stall: 200 * time.Millisecond, retry: time.Millisecond}
}

// whole serves the file, in parts if asked.
func whole(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

// cut serves at most n bytes of what it is asked for, and breaks the connection.
func cut(data []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err != nil {
			http.Error(w, "no range", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[from:min(from+n, len(data))])
		if from+n < len(data) {
			panic(http.ErrAbortHandler)
		}
	}
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}

func TestFetch(t *testing.T) {
	p, data := testWheel(t)
	altered := append([]byte(nil), data...)
	altered[len(altered)/2] ^= 1
	var requests atomic.Int64
	firstFails := func(status int, then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 1 {
				w.WriteHeader(status)
				return
			}
			then(w, r)
		}
	}
	for _, test := range []struct {
		name    string
		file    http.HandlerFunc
		part    []byte // what an earlier, interrupted process has left
		failure string // "": succeeds
	}{
		{"whole", whole(data), nil, ""},
		{"cut again and again", cut(data, 7001), nil, ""},
		{"resumed", cut(data, len(data)/2+1), data[:len(data)/2], ""},
		{"resumed on a server without ranges", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }, data[:1000], ""},
		{"resumed on another file's beginning", whole(data), altered[:len(data)/2+10], ""},
		{"leftover is too long", whole(data), append(data[:len(data):len(data)], 1, 2), ""},
		{"busy at first", firstFails(http.StatusServiceUnavailable, whole(data)), nil, ""},
		{"never there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, nil, "404"},
		{"always busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, nil, "check the network"},
		{"altered", whole(altered), nil, "instead of the pinned"},
		{"altered, resumed", whole(altered), altered[:10], "instead of the pinned"},
		{"dead", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, "no byte came"},
		{"cut and never longer", cut(data, 0), nil, "check the network"},
	} {
		t.Run(test.name, func(t *testing.T) {
			requests.Store(0)
			o := serveIndex(t, p, test.file)
			part := filepath.Join(o.Folder, p.wheels[0].file()+".part")
			if test.part != nil {
				if err := os.WriteFile(part, test.part, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			path, err := install(t.Context(), p, o, exists)
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Errorf("error %v does not say %q", err, test.failure)
				}
				if exists(filepath.Join(o.Folder, "toy-1")) == nil {
					t.Error("something is installed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := p.verify(path); err != nil {
				t.Error(err)
			}
			left, err := filepath.Glob(filepath.Join(o.Folder, "*"))
			if err != nil || len(left) != 2 { // the plugin and the lock
				t.Errorf("folder holds %v, %v", left, err)
			}
		})
	}
}

// A slow download is not a dead one.
func TestFetchSlowly(t *testing.T) {
	p, data := testWheel(t)
	o := serveIndex(t, p, func(w http.ResponseWriter, _ *http.Request) {
		for rest := data; len(rest) > 0; rest = rest[min(len(rest), len(data)/8):] {
			_, _ = w.Write(rest[:min(len(rest), len(data)/8)])
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})
	if _, err := install(t.Context(), p, o, exists); err != nil {
		t.Error(err)
	}
}

// TestFetchFromNoAddress: an index that no request can reach is told at once, by the name
// of what gives it, and without what may be a password.
func TestFetchFromNoAddress(t *testing.T) {
	p, _ := testWheel(t)
	for _, index := range []string{"pypi.org/simple", "ftp://user:secret@host/simple", "https://user:secret@host:port/simple", "https:///simple", "://"} {
		for _, from := range []string{"--index-url", "PIP_INDEX_URL"} {
			o := Options{Folder: t.TempDir(), retry: time.Hour}
			t.Setenv("PIP_INDEX_URL", index)
			if from == "--index-url" {
				o.IndexURL = index
				t.Setenv("PIP_INDEX_URL", "https://other/simple")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, err := install(ctx, p, o, exists)
			cancel()
			if err == nil || !strings.Contains(err.Error(), from+": package index is no address; give it as https://HOST/PATH") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: error %v", index, err)
			}
		}
	}
}

func TestFetchCancelled(t *testing.T) {
	p, data := testWheel(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := serveIndex(t, p, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(data[:1000])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	o.stall = time.Minute
	if _, err := install(ctx, p, o, exists); err == nil {
		t.Error("installed")
	}
	if exists(filepath.Join(o.Folder, "toy-1")) == nil {
		t.Error("half installed")
	}
}

func TestInstallOnceForAll(t *testing.T) {
	p, data := testWheel(t)
	var served atomic.Int64
	o := serveIndex(t, p, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		whole(data)(w, r)
	})
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := install(t.Context(), p, o, p.verify); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if served.Load() != 1 {
		t.Errorf("fetched %d times", served.Load())
	}
}

func TestInstallRepairs(t *testing.T) {
	p, data := testWheel(t)
	o := serveIndex(t, p, whole(data))
	path, err := install(t.Context(), p, o, exists)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := install(t.Context(), p, o, p.verify); err != nil {
		t.Fatal(err)
	}
	if err := p.verify(path); err != nil {
		t.Error(err)
	}
}

func TestInstallWithoutNetwork(t *testing.T) {
	p, data := testWheel(t)
	for _, test := range []struct {
		name    string
		wheels  map[string][]byte // nil: no folder is given
		failure string
	}{
		{"nothing", nil, "fetching is off"},
		{"wheel", map[string][]byte{p.wheels[0].file(): data}, ""},
		{"folder without the wheel", map[string][]byte{"other.whl": data}, "is missing"},
		{"altered wheel", map[string][]byte{p.wheels[0].file(): data[1:]}, "instead of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Folder: t.TempDir(), Offline: true}
			if test.wheels != nil {
				o.WheelDir = t.TempDir()
			}
			for name, content := range test.wheels {
				if err := os.WriteFile(filepath.Join(o.WheelDir, name), content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			path, err := install(t.Context(), p, o, p.verify)
			if test.failure == "" && (err != nil || p.verify(path) != nil) {
				t.Errorf("%s, %v", path, err)
			}
			if test.failure != "" && (err == nil || !strings.Contains(err.Error(), test.failure)) {
				t.Errorf("error %v does not say %q", err, test.failure)
			}
		})
	}
}

func TestUnpackStaysInside(t *testing.T) {
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "evil.whl"))
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	_, err = archive.Create("../outside")
	if err := errors.Join(err, archive.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t.Context(), file.Name(), filepath.Join(dir, "in")); err == nil {
		t.Error("unpacked")
	}
	if exists(filepath.Join(dir, "outside")) == nil {
		t.Error("wrote outside of the folder")
	}
}

func TestFindLink(t *testing.T) {
	for _, test := range []struct{ name, contentType, body, want string }{
		{"json", "application/vnd.pypi.simple.v1+json", `{"files":[{"filename":"b","url":"x"},{"filename":"a.whl","url":"u/a.whl"}]}`, "u/a.whl"},
		{"html", "text/html; charset=utf-8", `<a href='u/b.whl'>b.whl</a> <A data-r="&gt;3" HREF="u/a.whl?x=1&amp;y=2#sha256=0">a.whl</a>`, "u/a.whl?x=1&y=2#sha256=0"},
		{"absent", "text/html", `<a href="a.whl.asc">a.whl.asc</a>`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := findLink(test.contentType, []byte(test.body), "a.whl")
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestResolveByPathAndEnvironment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(LibraryPathEnv, t.TempDir()+":"+dir)
	for _, test := range []struct{ name, want, failure string }{
		{path, path, ""},
		{"cpu", path, ""},
		{"tpu", "", "fetching is off"},
		{"vax", "", "one of cpu, tpu, cuda"},
	} {
		got, err := Resolve(t.Context(), test.name, Options{Folder: dir, Offline: true})
		if got != test.want || err != nil && !strings.Contains(err.Error(), test.failure) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}
