package profile

import "strings"

// roof is what a device can do at most, in dense bfloat16 and from its own memory.
type roof struct {
	flops float64 // per second
	bytes float64 // per second
}

// roofs are from the makers' data sheets.
var roofs = map[string]roof{
	"v4":   {275e12, 1228e9},
	"v5e":  {197e12, 819e9},
	"v5p":  {459e12, 2765e9},
	"v6e":  {918e12, 1640e9},
	"a100": {312e12, 2039e9},
	"l4":   {121e12, 300e9},
	"h100": {989e12, 3350e9},
	"h200": {989e12, 4800e9},
}

// aliases are the names that tracers give to devices, in lower case.
var aliases = map[string]string{
	"tpu v4": "v4", "tpu v5 lite": "v5e", "tpu v5e": "v5e", "tpu v5": "v5p", "tpu v5p": "v5p",
	"tpu v6 lite": "v6e", "tpu v6e": "v6e",
}

// findRoof finds a device by a short name such as "v6e", or by one that contains it, such as "NVIDIA H100 80GB HBM3".
func findRoof(name string) (roof, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if short, ok := aliases[name]; ok {
		name = short
	}
	if r, ok := roofs[name]; ok {
		return r, true
	}
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' || r == '_' }) {
		if r, ok := roofs[word]; ok {
			return r, true
		}
	}
	return roof{}, false
}

// bound is the shortest time, in ns, in which the device can do so much, and whether memory is what bounds it.
func (r roof) bound(flops, bytes float64) (ns float64, memory bool) {
	if r.flops <= 0 || r.bytes <= 0 {
		return 0, false
	}
	arithmetic, transfer := flops/r.flops, bytes/r.bytes
	return 1e9 * max(arithmetic, transfer), transfer > arithmetic
}
