package app

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestReleaser: memory goes back within a releaser's interval after it grew, and is
// left alone otherwise.
func TestReleaser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, kept, frees := uint64(900<<20), uint64(100<<20), 0
		r := newReleaser(func() uint64 { return held }, func() { held, frees = kept, frees+1 })
		after := func(what string, want int) {
			t.Helper()
			time.Sleep(releaseEvery)
			synctest.Wait()
			if frees != want {
				t.Errorf("%s: given back %d times, want %d", what, frees, want)
			}
		}
		after("loading", 1)
		held = kept + releaseFrom
		after("usual requests", 1)
		held = kept + releaseFrom + 1
		after("a large request", 2)
		after("nothing", 2)
		kept = 1 << 30 // a request that is still in hand
		held = 2 << 30
		after("a larger request begins", 3)
		kept = 100 << 20
		after("it ends", 4)
		after("nothing again", 4)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		held = 4 << 30
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
