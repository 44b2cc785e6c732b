package profile

import "scored/target"

// roof holds a device's peak in dense bfloat16 and the bandwidth of its main memory. Zero
// means that they are not known.
type roof struct {
	flops float64 // per second
	bytes float64 // per second
}

// findRoof finds a device by a short name such as "v6e", or by a longer one that
// contains it, such as "NVIDIA H100 80GB HBM3".
func findRoof(name string) (roof, bool) {
	t, ok := target.Measured(name)
	return roof{t.Peak, t.Bandwidth}, ok
}

// bound returns the shortest time, in ns, for so many operations and bytes. memory
// reports whether the bytes decide it.
func (r roof) bound(flops, bytes float64) (ns float64, memory bool) {
	seconds, memory := target.Target{Peak: r.flops, Bandwidth: r.bytes}.Bound(flops, bytes)
	return 1e9 * seconds, memory
}
