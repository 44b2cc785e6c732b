package pjrt

import "time"

// Stats counts what has gone through a plugin since it was opened.
type Stats struct {
	Compiles    int64         // programs that the plugin compiled
	CacheHits   int64         // programs loaded from the compile cache instead
	CacheMisses int64         // programs that the cache did not hold
	CacheErrors int64         // entries that could not be read, loaded or written
	CompileTime time.Duration // compiling, or loading from the cache

	Executions       int64
	FailedExecutions int64
	// of all executions, each until its device was done; with Options.Async, until its
	// dispatch
	ExecutionTime time.Duration

	Buffers     int64 // device buffers alive
	Executables int64 // loaded executables alive
}

// Cost is what an executable needs by the plugin's own analysis; zero where the plugin
// does not say.
type Cost struct {
	Flops         float64 // floating-point operations of one execution
	BytesAccessed float64 // bytes read and written, between the operations too
	CodeBytes     int64   // generated code
	ArgumentBytes int64
	OutputBytes   int64
	AliasBytes    int64 // of the outputs, those that reuse an argument
	TempBytes     int64
	PeakBytes     int64
}

// Program is one loaded executable.
type Program struct {
	Name       string        // the module's name
	Key        string        // its entry in the compile cache, in hex; "" without a cache
	Cached     bool          // loaded from the cache, not compiled
	Compile    time.Duration // the time to compile it, or to load it
	Cost       Cost
	Executions int64
	Execution  time.Duration // of all its executions

	outputs int // per device
	order   int64
}

// Info describes an opened plugin.
type Info struct {
	Path               string
	Digest             string // sha256 of the plugin file, in hex
	APIMajor, APIMinor int
	Platform           string // "cpu", "tpu", "cuda"
	PlatformVersion    string
	Devices            []string // the kind of each device
	ProfilerExtension  bool
	SharedBuffers      bool // host memory can be used by the device in place
}
