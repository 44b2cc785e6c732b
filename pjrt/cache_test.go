package pjrt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

func testCache(t *testing.T, dir string, limit int64) *cache {
	t.Helper()
	if limit == 0 {
		limit = mostCacheBytes
	}
	c, err := newCache(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCacheKeepsEntries(t *testing.T) {
	dir := t.TempDir()
	key, payload := cacheKey{1}, bytes.Repeat([]byte("code"), 1000)
	if _, err := testCache(t, dir, 0).get(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty cache: %v", err)
	}
	if err := testCache(t, dir, 0).put(key, payload); err != nil {
		t.Fatal(err)
	}
	got, err := testCache(t, dir, 0).get(key)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestCacheRefusesBadEntries(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(entry []byte) []byte
		want  string
	}{
		{"empty", func(e []byte) []byte { return nil }, "cut short"},
		{"header cut", func(e []byte) []byte { return e[:20] }, "cut short"},
		{"payload cut", func(e []byte) []byte { return e[:len(e)-1] }, "bytes instead of"},
		{"longer", func(e []byte) []byte { return append(e, 0) }, "bytes instead of"},
		{"other format", func(e []byte) []byte { e[0]++; return e }, "another format"},
		{"other version", func(e []byte) []byte { e[7]++; return e }, "another format"},
		{"other program", func(e []byte) []byte { e[8]++; return e }, "another program"},
		{"flipped bit", func(e []byte) []byte { e[len(e)-1] ^= 1; return e }, "corrupt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, key := testCache(t, t.TempDir(), 0), cacheKey{1}
			if err := c.put(key, []byte("payload")); err != nil {
				t.Fatal(err)
			}
			entry, err := os.ReadFile(c.path(key))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.path(key), test.spoil(entry), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := c.get(key); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
			if err := c.put(key, []byte("payload")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.get(key); err != nil {
				t.Errorf("not replaced: %v", err)
			}
		})
	}
}

func TestCacheDropsTheLongestUnused(t *testing.T) {
	c := testCache(t, t.TempDir(), 3500) // three entries of a thousand bytes and their headers
	for i := range byte(3) {
		if err := c.put(cacheKey{i}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		age := time.Now().Add(time.Duration(i)*time.Minute - time.Hour)
		if err := os.Chtimes(c.path(cacheKey{i}), age, age); err != nil {
			t.Fatal(err)
		}
	}
	leftover := filepath.Join(c.dir, partPrefix+"killed")
	old := time.Now().Add(-2 * partLifetime)
	if err := errors.Join(os.WriteFile(leftover, nil, 0o644), os.Chtimes(leftover, old, old)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(cacheKey{0}); err != nil { // the oldest, now the youngest
		t.Fatal(err)
	}
	if err := c.put(cacheKey{3}, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for i, kept := range []bool{true, false, true, true} {
		if _, err := c.get(cacheKey{byte(i)}); (err == nil) != kept {
			t.Errorf("entry %d: %v, want kept %t", i, err, kept)
		}
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("an interrupted writer's file is still there")
	}
	if err := c.put(cacheKey{4}, make([]byte, 5000)); err == nil {
		t.Error("an entry larger than the bound was stored")
	}
}

func TestCacheShared(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		c := testCache(t, dir, 20_000)
		all.Go(func() {
			for i := range 200 {
				key := cacheKey{byte(i % 5)}
				payload := bytes.Repeat([]byte{byte(i % 5)}, 3000)
				if err := c.put(key, payload); err != nil {
					t.Error(err)
				}
				if got, err := c.get(key); err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(got, payload) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			}
		})
	}
	all.Wait()
}

// A full disk and a folder that may only be read are made in a child process, which can
// limit itself.
const cacheChildEnv = "PJRT_TEST_CACHE_CHILD"

func TestCacheUnwritable(t *testing.T) {
	for _, mode := range []string{"full", "read-only"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			if err := testCache(t, dir, 0).put(cacheKey{1}, []byte("before")); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the child is another user
				t.Fatal(err)
			}
			child := exec.Command(os.Args[0], "-test.run=^TestCacheChild$")
			child.Env = append(os.Environ(), cacheChildEnv+"="+mode+":"+dir)
			if out, err := child.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 1 {
				t.Errorf("left behind: %v, %v", files, err)
			}
		})
	}
}

func TestCacheChild(t *testing.T) {
	mode, dir, ok := strings.Cut(os.Getenv(cacheChildEnv), ":")
	if !ok {
		return // TestCacheUnwritable starts this in a process of its own
	}
	var err error
	switch mode {
	case "full":
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096})
	case "read-only":
		err = os.Chmod(dir, 0o555)
		if err == nil && os.Getuid() == 0 { // root may write everywhere
			err = syscall.Setuid(65534)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	c := testCache(t, dir, 0)
	if err := c.put(cacheKey{2}, make([]byte, 100_000)); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("put: %v", err)
	}
	if err := c.put(cacheKey{3}, nil); err != nil {
		t.Errorf("second put is not silent: %v", err)
	}
	if got, err := c.get(cacheKey{1}); err != nil || string(got) != "before" {
		t.Errorf("get: %q, %v", got, err)
	}
}

func TestCompileThroughTheCache(t *testing.T) {
	dir := t.TempDir()
	entryOf := func() string {
		entries, err := filepath.Glob(filepath.Join(dir, "*"+entrySuffix))
		if err != nil || len(entries) != 1 {
			t.Fatalf("entries %v, %v", entries, err)
		}
		return entries[0]
	}
	unloadable := func() {
		digits, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(entryOf()), entrySuffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := testCache(t, dir, 0).put(cacheKey(digits), []byte("sound, but no executable")); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name                   string
		before                 func()
		compiles, hits, errors int64
	}{
		{"first", func() {}, 1, 0, 0},
		{"second", func() {}, 0, 1, 0},
		{"corrupt", func() { _ = os.WriteFile(entryOf(), []byte("junk"), 0o644) }, 1, 0, 1},
		{"after corrupt", func() {}, 0, 1, 0},
		{"unloadable", unloadable, 1, 0, 1},
		{"after unloadable", func() {}, 0, 1, 0},
	} {
		test.before()
		var lines bytes.Buffer
		p := openTest(t, Options{CacheDir: dir, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		g := square(t, p, "cached", 2)
		if got := run(t, p, g, 2, []float32{1, 2, 3, 4}); got[3] != 22 {
			t.Errorf("%s: got %v", test.name, got)
		}
		program, _ := named(p, "cached")
		g.Finalize()
		stats := p.Stats()
		if stats.Compiles != test.compiles || stats.CacheHits != test.hits || stats.CacheErrors != test.errors {
			t.Errorf("%s: %+v", test.name, stats)
		}
		if program.Cached != (test.hits == 1) || program.Cost.ArgumentBytes != 16 {
			t.Errorf("%s: %+v", test.name, program)
		}
		if got := int64(strings.Count(lines.String(), "level=WARN")); got != test.errors {
			t.Errorf("%s: %d warnings:\n%s", test.name, got, &lines)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRewrittenProgramsAreKeptApart: what Rewrite gives is what runs, what is captured
// and what the cache knows it by.
func TestRewrittenProgramsAreKeptApart(t *testing.T) {
	dir := t.TempDir()
	sum := func(program []byte) []byte {
		return bytes.ReplaceAll(program, []byte("stablehlo.multiply"), []byte("stablehlo.add"))
	}
	for i, test := range []struct {
		rewrite        func([]byte) []byte
		want           float32
		compiles, hits int64
	}{{nil, 9, 1, 0}, {sum, 6, 1, 0}, {sum, 6, 0, 1}, {nil, 9, 0, 1}} {
		var captured []byte
		p := openTest(t, Options{CacheDir: dir, Rewrite: test.rewrite, Capture: func(_ string, program, _ []byte) { captured = bytes.Clone(program) }})
		g := compiled(t, p, "rewritten", shapes.Make(dtypes.Float32, 1, 1), func(x *graph.Node) *graph.Node { return graph.Mul(x, x) })
		if got := run(t, p, g, 1, []float32{3}); got[0] != test.want {
			t.Errorf("plugin %d: 3 gives %v, want %v", i, got[0], test.want)
		}
		if adds := bytes.Contains(captured, []byte("stablehlo.add")); adds != (test.rewrite != nil) {
			t.Errorf("plugin %d: captured %s", i, captured)
		}
		g.Finalize()
		if stats := p.Stats(); stats.Compiles != test.compiles || stats.CacheHits != test.hits {
			t.Errorf("plugin %d: %+v", i, stats)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCompilerFolders: the compiler gets a folder inside the cache's, which is no part
// of the keys: who finds the programs elsewhere has no need to compile. Where the
// folder cannot be written, programs compile without it.
func TestCompilerFolders(t *testing.T) {
	first := t.TempDir()
	moved, taken := filepath.Join(t.TempDir(), "moved"), t.TempDir()
	folders := map[string]string{"xla_dump_to": "kept"} // an option of every plugin that writes into a folder
	for i, test := range []struct {
		dir            string
		prepare        func() error
		compiles, hits int64
		kept           bool
	}{
		{first, func() error { return nil }, 1, 0, true},
		{moved, func() error { return os.CopyFS(moved, os.DirFS(first)) }, 0, 1, true},
		{taken, func() error { return os.WriteFile(filepath.Join(taken, "kept-"+testDigest(t)), nil, 0o600) }, 1, 0, false},
	} {
		if err := test.prepare(); err != nil {
			t.Fatal(err)
		}
		var captured []byte
		p := openTest(t, Options{CacheDir: test.dir, Folders: folders, Capture: func(_ string, _, options []byte) { captured = bytes.Clone(options) }})
		squares(t, p, i, test.compiles, test.hits)
		if bytes.Contains(captured, []byte("xla_dump_to")) {
			t.Errorf("plugin %d: captured options hold the path: %q", i, captured)
		}
		files, _ := os.ReadDir(filepath.Join(test.dir, "kept-"+testDigest(t)))
		if len(files) > 0 != test.kept {
			t.Errorf("plugin %d: the compiler kept %d files", i, len(files))
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// squares runs a program on a test's plugin, and checks how often that was compiled and
// how often it came from the cache.
func squares(t *testing.T, p *Plugin, plugin int, compiles, hits int64) {
	t.Helper()
	g := square(t, p, "square", 1)
	defer g.Finalize()
	if got := run(t, p, g, 1, []float32{3}); got[0] != 9 {
		t.Errorf("plugin %d: 3 gives %v, want 9", plugin, got[0])
	}
	if stats := p.Stats(); stats.Compiles != compiles || stats.CacheHits != hits {
		t.Errorf("plugin %d: %+v, want %d compiles and %d hits", plugin, stats, compiles, hits)
	}
}

// testDigest is the part of the plugin's digest that names of folders end with.
func testDigest(t *testing.T) string {
	t.Helper()
	digest, err := fileDigest(testPlugin(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return digest[:16]
}

// TestCompileOptions: options reach the compiler, which refuses those that it does not
// know, are captured, and keep the cache's entries apart.
func TestCompileOptions(t *testing.T) {
	dir, dumped := t.TempDir(), t.TempDir()
	buffers := map[string]string{"xla_gpu_enable_command_buffer": ""}
	for i, test := range []struct {
		options        map[string]string
		compiles, hits int64
		dumps          bool
	}{
		{nil, 1, 0, false},
		{buffers, 1, 0, false},
		{buffers, 0, 1, false},
		{nil, 0, 1, false},
		{map[string]string{"xla_dump_to": dumped, "xla_gpu_enable_command_buffer": ""}, 1, 0, true},
	} {
		var captured []byte
		p := openTest(t, Options{CacheDir: dir, Compile: test.options, Capture: func(_ string, _, options []byte) { captured = bytes.Clone(options) }})
		squares(t, p, i, test.compiles, test.hits)
		if has := bytes.Contains(captured, []byte("xla_gpu_enable_command_buffer")); has != (test.options != nil) {
			t.Errorf("plugin %d: captured options %q", i, captured)
		}
		if files, err := os.ReadDir(dumped); err != nil || len(files) > 0 != test.dumps {
			t.Errorf("plugin %d: %d files dumped, %v", i, len(files), err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	p := openTest(t, Options{Compile: map[string]string{"xla_no_such_option": "1"}})
	g := graph.NewGraph(p.Backend(), "refused")
	if err := g.Compile(graph.Scalar(g, dtypes.Float32, 1)); err == nil || !strings.Contains(err.Error(), "xla_no_such_option") {
		t.Errorf("an option that XLA does not know: %v", err)
	}
	g.Finalize()
}
