package pjrt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	goxla "github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"scored/pjrt/wheel"
)

// square compiles x·x for float32 matrices of n by n under a name of its own.
func square(t testing.TB, p *Plugin, name string, n int) *graph.Graph {
	t.Helper()
	return compiled(t, p, name, shapes.Make(dtypes.Float32, n, n), func(x *graph.Node) *graph.Node { return graph.MatMul(x, x) })
}

// compiled is a graph of one input.
func compiled(t testing.TB, p *Plugin, name string, input shapes.Shape, of func(*graph.Node) *graph.Node) *graph.Graph {
	t.Helper()
	g := graph.NewGraph(p.Backend(), name)
	if err := g.Compile(of(graph.Parameter(g, "x", input))); err != nil {
		t.Fatal(err)
	}
	return g
}

// run executes a program of one float32 argument and one result.
func run(t testing.TB, p *Plugin, g *graph.Graph, n int, flat []float32) []float32 {
	t.Helper()
	shape := shapes.Make(dtypes.Float32, n, n)
	in, err := p.Backend().BufferFromFlatData(0, flat, shape)
	if err != nil {
		t.Fatal(err)
	}
	defer finalize(t, p, in)
	out := g.RunWithBuffers([]compute.Buffer{in}, []bool{false}, 0)
	defer func() {
		if err := out[0].FinalizeAll(); err != nil {
			t.Error(err)
		}
	}()
	return tensors.MustCopyFlatData[float32](out[0])
}

func finalize(t testing.TB, p *Plugin, buffers ...compute.Buffer) {
	t.Helper()
	for _, b := range buffers {
		if err := b.Finalize(); err != nil {
			t.Error(err)
		}
	}
}

// named is the loaded executable of that name, the newest if there are several.
func named(p *Plugin, name string) (found Program, ok bool) {
	for _, program := range p.Programs() {
		if program.Name == name {
			found, ok = program, true
		}
	}
	return found, ok
}

func TestOpenComputesCountsAndLeaksNothing(t *testing.T) {
	buffersBefore, executablesBefore := goxla.BuffersAlive(), goxla.LoadedExecutablesAlive()
	var captured []string
	p := openTest(t, Options{
		Capture: func(name string, program, options []byte) {
			captured = append(captured, name)
			if !strings.Contains(string(program), "stablehlo.dot_general") || len(options) == 0 {
				t.Errorf("captured program %q with %d bytes of options", program, len(options))
			}
		},
	})
	g := square(t, p, "square", 2)
	for range 3 {
		if got := run(t, p, g, 2, []float32{1, 2, 3, 4}); got[0] != 7 || got[1] != 10 || got[2] != 15 || got[3] != 22 {
			t.Errorf("square of [[1 2] [3 4]] is %v", got)
		}
	}

	program, ok := named(p, "square")
	if !ok || program.Executions != 3 || program.Execution <= 0 || program.Compile <= 0 || program.Cost.ArgumentBytes != 16 {
		t.Errorf("program %+v", program)
	}
	stats := p.Stats()
	if stats.Compiles != 1 || stats.CompileTime <= 0 || stats.Executions != 3 || stats.ExecutionTime <= 0 {
		t.Errorf("stats %+v", stats)
	}
	if stats.Buffers != 0 || stats.Executables != 1 {
		t.Errorf("%d buffers and %d executables alive, want 0 and 1", stats.Buffers, stats.Executables)
	}
	if len(captured) != 1 || captured[0] != "square" {
		t.Errorf("captured %v", captured)
	}

	g.Finalize()
	if stats := p.Stats(); stats.Executables != 0 {
		t.Errorf("%d executables alive after finalizing", stats.Executables)
	}
	if _, ok := named(p, "square"); ok {
		t.Error("program is still listed after finalizing")
	}
	if b, e := goxla.BuffersAlive()-buffersBefore, goxla.LoadedExecutablesAlive()-executablesBefore; b != 0 || e != 0 {
		t.Errorf("go-xla counts %d buffers and %d executables more than before", b, e)
	}
}

func TestInfo(t *testing.T) {
	info := openTest(t, Options{}).Info()
	digest, err := wheel.Digest(info.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Platform != "cpu" || len(info.Devices) != 1 || !info.SharedBuffers || info.Digest != digest || info.APIMinor == 0 {
		t.Errorf("info %+v", info)
	}
}

func TestOpenOneAtATime(t *testing.T) {
	p := openTest(t, Options{})
	if _, err := Open(p.Info().Path, Options{}); err == nil || !strings.Contains(err.Error(), "already open") {
		t.Errorf("second Open: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	again := openTest(t, Options{})
	g := square(t, again, "again", 2)
	defer g.Finalize()
	if got := run(t, again, g, 2, []float32{1, 0, 0, 1}); got[0] != 1 {
		t.Errorf("after reopening: %v", got)
	}
}

func TestCloseReportsLeaks(t *testing.T) {
	p, err := Open(testPlugin(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := square(t, p, "leaked", 2)
	buffer, err := p.Backend().BufferFromFlatData(0, []float32{1}, shapes.Make(dtypes.Float32, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "1 buffers and 1 executables") {
		t.Errorf("close: %v", err)
	}
	// What outlived its client must be harmless, in the next life of the plugin too.
	openTest(t, Options{})
	g.Finalize()
	_ = buffer.Finalize()
}

func TestConcurrentUse(t *testing.T) {
	p := openTest(t, Options{CacheDir: t.TempDir()})
	var all sync.WaitGroup
	for n := 2; n < 10; n++ {
		all.Go(func() {
			g := square(t, p, "concurrent"+string(rune('0'+n)), n)
			defer g.Finalize()
			one := make([]float32, n*n)
			for i := range n {
				one[i*n+i] = 3
			}
			for range 20 {
				if got := run(t, p, g, n, one); got[n*n-1] != 9 {
					t.Errorf("got %v", got)
				}
				p.Stats()
			}
		})
	}
	all.Wait()
	if stats := p.Stats(); stats.Executions != 160 || stats.Buffers != 0 || stats.Executables != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// With Async, inputs may go as soon as their execution is dispatched, though it may not
// have begun.
func TestAsyncExecutionsKeepTheirInputs(t *testing.T) {
	p := openTest(t, Options{Async: true})
	if p.Info().SharedBuffers {
		t.Error("the device reads host memory, and nothing would tell when it is done")
	}
	const n, squarings = 500, 10
	g := square(t, p, "square", n)
	defer g.Finalize()
	shift := make([]float32, n*n) // by one place: squared k times, it shifts by 2^k
	for i := range n {
		shift[i*n+(i+1)%n] = 1
	}
	in, err := p.Backend().BufferFromFlatData(0, shift, shapes.Make(dtypes.Float32, n, n))
	if err != nil {
		t.Fatal(err)
	}
	clear(shift)
	x := g.RunWithBuffers([]compute.Buffer{in}, []bool{false}, 0)[0]
	finalize(t, p, in)
	for range squarings - 1 {
		next := g.Run(x)[0]
		x.MustFinalizeAll()
		x = next
	}
	got := tensors.MustCopyFlatData[float32](x)
	x.MustFinalizeAll()
	for i := range n {
		if to := (i + 1<<squarings) % n; got[i*n+to] != 1 {
			t.Fatalf("row %d does not shift to %d", i, to)
		}
	}
	if stats := p.Stats(); stats.Executions != squarings || stats.Buffers != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// A device that is out of memory must be told from all else, and must leave nothing
// behind.
func TestOutOfMemory(t *testing.T) {
	p := openTest(t, Options{})
	g := compiled(t, p, "huge", shapes.Make(dtypes.Float32), func(x *graph.Node) *graph.Node {
		return graph.BroadcastToDims(x, 1<<22, 1<<22)
	})
	defer g.Finalize()
	in, err := p.Backend().BufferFromFlatData(0, []float32{1}, shapes.Make(dtypes.Float32))
	if err != nil {
		t.Fatal(err)
	}
	err = caught(func() { g.RunWithBuffers([]compute.Buffer{in}, []bool{false}, 0) })
	if code, ok := CodeOf(err); !ok || code != ResourceExhausted {
		t.Errorf("an array of 64 TiB: code %s (%t), error %v", code, ok, err)
	}
	finalize(t, p, in)
	if stats := p.Stats(); stats.FailedExecutions != 1 || stats.Buffers != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// caught returns what f panics with: GoMLX reports a failed execution so.
func caught(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := buildPlugin(t, dir, "whole.so")
	binary, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte(nil), binary...)
	foreign[18], foreign[19] = 0xf3, 0 // e_machine: RISC-V

	for _, test := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.so"), "does not exist"},
		{"folder", dir, "is not a file"},
		{"text", file("text.so", []byte("#!/bin/sh\n")), "is not an ELF shared object"},
		{"empty", file("empty.so", nil), "is not an ELF shared object"},
		{"cut short", file("short.so", binary[:len(binary)/4]), "cut short"},
		{"other architecture", file("foreign.so", foreign), "EM_RISCV"},
		{"no GetPjrtApi", buildPlugin(t, dir, "stranger.so", "-DNO_ENTRY"), "does not export GetPjrtApi"},
		{"no table", buildPlugin(t, dir, "null.so", "-DNO_TABLE"), "returned nothing"},
		{"other major version", buildPlugin(t, dir, "major.so", "-DMAJOR=1"), "PJRT API 1.0"},
		{"too old", whole, "lacks PJRT_Error_Destroy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Open(test.path, Options{})
			if err == nil {
				t.Fatal("opened", p.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

// buildPlugin compiles testdata/plugin.c, a plugin without functions.
func buildPlugin(t *testing.T, dir, name string, flags ...string) string {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	path := filepath.Join(dir, name)
	arguments := append([]string{"-shared", "-fPIC", "-I.", "-o", path, "testdata/plugin.c"}, flags...)
	if out, err := exec.Command(cc, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cc, err, out)
	}
	return path
}
