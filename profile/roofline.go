package profile

import "scored/target"

// roof is what a device can do at most, in dense bfloat16 and from its own memory.
type roof struct {
	flops float64 // per second
	bytes float64 // per second
}

// findRoof finds a device by a short name such as "v6e", or by one that contains it, such as "NVIDIA H100 80GB HBM3".
func findRoof(name string) (roof, bool) {
	t, ok := target.Measured(name)
	return roof{t.Peak, t.Bandwidth}, ok
}

// bound is the shortest time, in ns, in which the device can do so much, and whether memory is what bounds it.
func (r roof) bound(flops, bytes float64) (ns float64, memory bool) {
	seconds, memory := target.Target{Peak: r.flops, Bandwidth: r.bytes}.Bound(flops, bytes)
	return 1e9 * seconds, memory
}
