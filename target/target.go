// Package target describes the devices that scored runs on: their peaks, the dtypes in
// which they compute, how their programs are compiled and queued, which step shapes
// suit them, and how long a step takes.
//
// A device is a row of a table. No other package compares names of devices. The package
// knows no model, no plugin and no request. Begin with Find, which returns the row of a
// plugin's device, and Price.Step.
package target

import (
	"slices"
	"strings"

	"scored/score/plan"
)

// Attention is a way to compute attention.
type Attention string

// The ways to compute attention.
const (
	Native Attention = "native" // operations of the graph, on rows padded to the same length
	Fused  Attention = "fa"     // a kernel written for the device, on packed rows
)

// Kernels is the language in which kernels are written.
type Kernels string

// The languages of kernels.
const (
	NoKernels     Kernels = ""
	MosaicKernels Kernels = "mosaic" // for TPUs
	TritonKernels Kernels = "triton" // for NVIDIA GPUs
)

// DType is a number format, by its name in --dtype.
type DType string

// The number formats.
const (
	Float32  DType = "float32"
	BFloat16 DType = "bfloat16"
)

// Ladder returns a target's step shapes for prompts shorter than contextLength tokens,
// without their cost.
type Ladder func(contextLength int) []plan.Bucket

// Target describes a device. Figures are the makers', for dense products of bfloat16;
// their sources are in the table.
type Target struct {
	Name     string // e.g. "v6e"
	Platform string // of the plugin: "cpu", "tpu" or "cuda"
	Kinds    []string

	Peak      float64 // floating-point operations per second; 0: not known
	Bandwidth float64 // of main memory, bytes per second; 0: not known
	Clock     float64 // of the matrix units in Hz, to convert a compiler's cycles; 0: not known
	Memory    int64   // bytes of main memory; 0: not known

	Weights  DType // dtype of weights if --dtype is auto
	Products DType // dtype of the inputs of matrix products; "": that of the weights

	// Kernels is the language of the kernels that compute attention on the device.
	Kernels Kernels
	// SharedMemory is how many bytes of shared memory a thread block of a GPU may use.
	SharedMemory int
	// HostLoops says that the host waits for the device in every iteration of a loop,
	// so programs should have none.
	HostLoops bool
	// Group is how many layers a program computes, if that divides the model's number
	// of layers; 0: one.
	Group int
	// Async says that programs are queued. A step consists of several programs, and
	// without a queue the device would be idle between them.
	Async bool
	// Pool is the share of Memory that programs get. CacheShare is the share of what
	// weights and steps leave of that which the KV cache takes by default. 0 means a
	// fixed size.
	Pool, CacheShare float64
	// HostMemory says that the device's memory is the process's own.
	HostMemory bool
	// Replicas names the client option that sets how many devices there are; "": their
	// number is fixed.
	Replicas string
	// Options are options of XLA for every program.
	Options map[string]string
	// Folders are options of XLA that name folders for its measurements, each with the
	// name of a folder inside that of compiled programs.
	Folders map[string]string

	Ladders map[Attention]Ladder
	Prices  map[Attention]Price
	// BFloat16 is the native price with bfloat16 weights, for devices whose default is
	// float32; nil: the same price.
	BFloat16 *Price
}

// Find returns the row of a plugin's device: by its kind, such as "TPU v6 lite" or
// "NVIDIA H100 80GB HBM3", or else the row for unknown devices of the platform. ok is
// false if the platform is not known.
func Find(platform, kind string) (Target, bool) {
	if platform == "cpu" {
		return Named(processorName())
	}
	kind = strings.ToLower(kind)
	for _, t := range table() {
		if t.Platform == platform && slices.ContainsFunc(t.Kinds,
			func(k string) bool { return matches(kind, k) }) {
			return t, true
		}
	}
	return Named("unknown " + platform)
}

// matches reports whether a device's kind is k, or contains it as a word.
func matches(kind, k string) bool {
	words := strings.FieldsFunc(kind, func(r rune) bool { return r == ' ' || r == '-' || r == '_' })
	return kind == k || slices.Contains(words, k)
}

// Named returns the row with this name.
func Named(name string) (Target, bool) {
	for _, t := range append(table(), processors()...) {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

// Measured returns a row with known peak and bandwidth, to compare a profile with: by
// name, or by a device's kind.
func Measured(device string) (Target, bool) {
	device = strings.ToLower(strings.TrimSpace(device))
	for _, t := range table() {
		if t.Peak > 0 && (t.Name == device ||
			slices.ContainsFunc(t.Kinds, func(k string) bool { return matches(device, k) })) {
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

// ProductsOf returns the dtype of the inputs of matrix products if weights have this
// dtype.
func (t Target) ProductsOf(weights DType) DType {
	if t.Products == "" {
		return weights
	}
	return t.Products
}

// Price returns the row's price of steps for a kind of attention, with weights of this
// dtype.
func (t Target) Price(attention Attention, weights DType) Price {
	if t.BFloat16 != nil && attention == Native && weights == BFloat16 {
		return *t.BFloat16
	}
	return t.Prices[attention]
}

// Bound returns the shortest time in seconds in which the device can make so many
// operations and move so many bytes. memory reports whether the bytes decide it. The
// time is 0 if the device's figures are not known.
func (t Target) Bound(flops, bytes float64) (seconds float64, memory bool) {
	if t.Peak <= 0 || t.Bandwidth <= 0 {
		return 0, false
	}
	arithmetic, transfer := flops/t.Peak, bytes/t.Bandwidth
	return max(arithmetic, transfer), transfer > arithmetic
}
