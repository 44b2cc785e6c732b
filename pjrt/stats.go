package pjrt

import "time"

// Stats counts the calls of a plugin since it was opened.
type Stats struct {
	Compiles    int64         // programs that the plugin compiled
	CacheHits   int64         // programs loaded from the compile cache instead
	CacheMisses int64         // programs that the cache did not hold
	CacheErrors int64         // entries that could not be read, loaded or written
	CompileTime time.Duration // in all, for compiling or for loading from the cache

	Executions       int64 // with those that failed
	FailedExecutions int64
	// ExecutionTime is the sum over all executions, each until its device was done; with
	// Options.Async, until its dispatch.
	ExecutionTime time.Duration

	Buffers     int64 // device buffers alive
	Executables int64 // loaded executables alive
}

// Cost is what one execution needs by the plugin's own analysis. A field is zero if the
// plugin has no such figure.
type Cost struct {
	Flops         float64 // floating-point operations
	BytesAccessed float64 // read and written by all operations, also between two of them
	CodeBytes     int64   // generated code
	ArgumentBytes int64
	OutputBytes   int64
	AliasBytes    int64 // the part of the outputs that reuses arguments
	TempBytes     int64 // device memory for results between operations
	PeakBytes     int64 // most device memory in use at once
}

// Program is one loaded executable.
type Program struct {
	Name       string        // the module's name
	Key        string        // its entry in the compile cache, in hex; "" without a cache
	Cached     bool          // loaded from the cache, not compiled
	Compile    time.Duration // the time to compile it, or to load it
	Cost       Cost
	Executions int64
	Execution  time.Duration // sum over all its executions, as Stats.ExecutionTime

	outputs int   // on each device
	order   int64 // ascending in the order of loading
}

// Info describes an opened plugin.
type Info struct {
	Path               string
	Digest             string // sha256 of the plugin file, in hex
	APIMajor, APIMinor int
	Platform           string // "cpu", "tpu", "cuda"
	PlatformVersion    string
	Devices            []string // the kind of each device, such as "TPU v6 lite"
	ProfilerExtension  bool     // Plugin.Profiler returns one
	SharedBuffers      bool     // the device can use host memory in place
}
