package pjrt

import (
	"testing"
	"time"
	"unsafe"
)

// addresses stand for executables. They are no locals: Go does not follow pointers to
// C's types when it moves a stack.
var addresses [3]int64

// TestPrograms: executables are listed as they were loaded, are counted while they are
// loaded, and are known no longer than that; what runs beside them still counts as an
// execution.
func TestPrograms(t *testing.T) {
	p := newPrograms()
	id := func(n int) executable { return executable(unsafe.Pointer(&addresses[n])) }
	p.add(id(0), Program{Name: "first", Compile: time.Second, outputs: 2})
	p.add(id(1), Program{Name: "second", Compile: time.Second, Cached: true, outputs: 3})
	for n, want := range []int{2, 3, 0} {
		if got := p.executed(id(n), time.Millisecond, n == 2); got != want {
			t.Errorf("executable %d has %d outputs, want %d", n, got, want)
		}
	}
	p.cacheAnswered(true)
	p.cacheAnswered(false)
	p.cacheFailed()
	want := Stats{Compiles: 1, CompileTime: 2 * time.Second, CacheHits: 1, CacheMisses: 1, CacheErrors: 1,
		Executions: 3, FailedExecutions: 1, ExecutionTime: 3 * time.Millisecond, Executables: 2}
	if got := p.stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if list := p.list(); len(list) != 2 || list[0].Name != "first" || list[1].Name != "second" || list[0].Executions != 1 {
		t.Errorf("list of %+v", list)
	}
	if !p.remove(id(0)) || p.remove(id(0)) || p.remove(id(2)) {
		t.Error("an executable can be removed once, while it is loaded")
	}
	if list := p.list(); len(list) != 1 || list[0].Name != "second" || p.stats().Executables != 1 {
		t.Errorf("after the first is gone: %+v", list)
	}
}
