package app

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReleaser: memory goes back within a releaser's interval after it grew, and is
// left alone otherwise.
func TestReleaser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held, kept atomic.Uint64 // the releaser's goroutine reads them
		var frees atomic.Int64
		held.Store(900 << 20)
		kept.Store(100 << 20)
		r := newReleaser(held.Load, func() {
			held.Store(kept.Load())
			frees.Add(1)
		})
		after := func(what string, want int64) {
			t.Helper()
			time.Sleep(releaseEvery)
			synctest.Wait()
			if got := frees.Load(); got != want {
				t.Errorf("%s: given back %d times, want %d", what, got, want)
			}
		}
		after("loading", 1)
		held.Store(kept.Load() + releaseFrom)
		after("usual requests", 1)
		held.Store(kept.Load() + releaseFrom + 1)
		after("a large request", 2)
		after("nothing", 2)
		kept.Store(1 << 30) // a request that is still in hand
		held.Store(2 << 30)
		after("a larger request begins", 3)
		kept.Store(100 << 20)
		after("it ends", 4)
		after("nothing again", 4)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		held.Store(4 << 30)
		after("closed", 4)
	})
}

// TestGoMemory: what is allocated is held, and given back when it is garbage.
func TestGoMemory(t *testing.T) {
	const size = 512 << 20
	freeMemory()
	before := goMemory()
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	during := goMemory()
	if block[4096] != 1 || during < before+size/2 {
		t.Errorf("%d bytes are held, %d before, for %d more", during, before, size)
	}
	freeMemory()
	if after := goMemory(); after > before+size/4 {
		t.Errorf("%d bytes are held once all is garbage, %d before", after, before)
	}
}
