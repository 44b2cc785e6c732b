package app

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"scored/internal/every"
)

const (
	// releaseEvery is how often memory is looked at. Giving it back costs a collection
	// and, where it is needed again, a fault for each page: within a percent at this rate.
	releaseEvery = 30 * time.Second
	// releaseFrom is how much more than at the start Go must hold. Usual requests take a
	// few megabytes.
	releaseFrom = 256 << 20
)

// releaser gives memory back to the system after large requests. Go alone collects an
// idle heap every two minutes, and gives back what is free of it little by little:
// meanwhile a pod of several replicas is near its limit for nothing.
type releaser struct {
	held  func() uint64 // bytes that Go holds
	free  func()        // gives back what is free
	start uint64        // held when the server was ready

	stop func() // ends the goroutine that calls look
}

// newReleaser frees what loading the model has left, and begins to look at intervals. The
// caller must call close.
func newReleaser(held func() uint64, free func()) *releaser {
	free()
	r := &releaser{held: held, free: free, start: held()}
	r.stop = every.Do(releaseEvery, r.look)
	return r
}

// look gives memory back if much of it is held.
func (r *releaser) look() {
	if r.held() > r.start+releaseFrom {
		r.free()
	}
}

// close ends the goroutine. free is not called afterwards.
func (r *releaser) close() error {
	r.stop()
	return nil
}

// goMemory is what the Go runtime has of the system and has not given back.
func goMemory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// freeMemory collects garbage and gives the system all that is free then.
func freeMemory() { debug.FreeOSMemory() }
