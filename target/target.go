// Package target knows the devices that scored runs on: what each can do at most, in what dtypes it computes there, how
// its programs are compiled and queued, which step shapes suit it, and what a step takes.
//
// A device is a row of a table; nothing else in the tree compares names of devices. The package knows no model, no plugin
// and no request. Begin with Find, which gives the row of a plugin's device, and Price.Step.
package target

import (
	"slices"
	"strings"

	"scored/score/plan"
)

// Attention is a way to attend.
type Attention string

// The ways to attend.
const (
	Native Attention = "native" // operations of the graph, on rows padded to the same length
	Fused  Attention = "fa"     // a kernel of the device's own, on rows as they lie packed
)

// Kernels is a language of kernels.
type Kernels string

// The languages of kernels.
const (
	NoKernels     Kernels = ""
	MosaicKernels Kernels = "mosaic" // of TPUs
	TritonKernels Kernels = "triton" // of NVIDIA GPUs
)

// DType is the name of a number format, as --dtype has it.
type DType string

// The number formats.
const (
	Float32  DType = "float32"
	BFloat16 DType = "bfloat16"
)

// Ladder gives a target's step shapes for prompts shorter than contextLength, without their cost.
type Ladder func(contextLength int) []plan.Bucket

// Target is what a device is. Figures are the makers' for dense products of bfloat16; their sources stand in the table.
type Target struct {
	Name     string // e.g. "v6e"
	Platform string // the plugin's: "cpu", "tpu" or "cuda"
	Kinds    []string

	Peak      float64 // floating-point operations a second; 0: not known
	Bandwidth float64 // bytes a second of main memory; 0: not known
	Clock     float64 // cycles a second of its matrix units, to turn a compiler's cycles into time; 0: not known
	Memory    int64   // bytes of main memory; 0: not known

	Weights  DType // of the weights where --dtype is auto
	Products DType // in which matrix products take their inputs; "": that of the weights

	// Kernels are those that attend on the device.
	Kernels Kernels
	// SharedMemory is how many bytes of it a block of threads of a GPU may use.
	SharedMemory int
	// HostLoops tells that the host waits for the device in every round of a loop, so that programs had better have none.
	HostLoops bool
	// Group is how many layers a program computes, as far as that divides the model's; 0: one.
	Group int
	// Async queues programs: a step is one program a layer, or a few layers, and the device would stand idle between them.
	Async bool
	// Pool is the share of Memory that programs get, and CacheShare the share of what weights and steps leave of it that the
	// KV cache takes, unless told otherwise; 0: a fixed size.
	Pool, CacheShare float64
	// HostMemory tells that what is on the device lies in the process's own memory.
	HostMemory bool
	// Replicas names the client option that says how many devices it has; "": they are what they are.
	Replicas string
	// Options are XLA's, for every program.
	Options map[string]string
	// Folders are options of XLA that name folders in which it keeps what it has measured, each with the folder's name inside
	// that of compiled programs.
	Folders map[string]string

	Ladders map[Attention]Ladder
	Prices  map[Attention]Price
	// BFloat16 is the native price with bfloat16 weights, where float32 ones are as usual and cost otherwise; nil: the same.
	BFloat16 *Price
}

// Find gives the row of a plugin's device: by its kind, such as "TPU v6 lite" or "NVIDIA H100 80GB HBM3", or else the row
// for unknown devices of the platform. ok is false if there is no such platform.
func Find(platform, kind string) (Target, bool) {
	if platform == "cpu" {
		return Named(processorName())
	}
	kind = strings.ToLower(kind)
	for _, t := range table() {
		if t.Platform == platform && slices.ContainsFunc(t.Kinds, func(k string) bool { return matches(kind, k) }) {
			return t, true
		}
	}
	return Named("unknown " + platform)
}

// matches tells whether a device's kind is k, or holds it as a word.
func matches(kind, k string) bool {
	words := strings.FieldsFunc(kind, func(r rune) bool { return r == ' ' || r == '-' || r == '_' })
	return kind == k || slices.Contains(words, k)
}

// Named gives a row by its name.
func Named(name string) (Target, bool) {
	for _, t := range append(table(), processors()...) {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

// Measured gives the row whose peak and bandwidth a profile can be held to: by name, or by a device's kind.
func Measured(device string) (Target, bool) {
	device = strings.ToLower(strings.TrimSpace(device))
	for _, t := range table() {
		if t.Peak > 0 && (t.Name == device || slices.ContainsFunc(t.Kinds, func(k string) bool { return matches(device, k) })) {
			return t, true
		}
	}
	return Target{}, false
}

// MeasuredNames lists the rows that Measured knows.
func MeasuredNames() (names []string) {
	for _, t := range table() {
		if t.Peak > 0 {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

// ProductsOf is the dtype in which matrix products take their inputs where weights are of a dtype.
func (t Target) ProductsOf(weights DType) DType {
	if t.Products == "" {
		return weights
	}
	return t.Products
}

// Price is the row's own price of steps, with weights of a dtype.
func (t Target) Price(attention Attention, weights DType) Price {
	if t.BFloat16 != nil && attention == Native && weights == BFloat16 {
		return *t.BFloat16
	}
	return t.Prices[attention]
}

// Bound is the least time, in seconds, in which the device does so much, and whether memory is what bounds it; 0 where the
// device's figures are not known.
func (t Target) Bound(flops, bytes float64) (seconds float64, memory bool) {
	if t.Peak <= 0 || t.Bandwidth <= 0 {
		return 0, false
	}
	arithmetic, transfer := flops/t.Peak, bytes/t.Bandwidth
	return max(arithmetic, transfer), transfer > arithmetic
}
