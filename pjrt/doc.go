// Package pjrt opens PJRT plugins: the shared objects through which XLA drives a CPU, a
// GPU or a TPU.
//
//   - [Open] loads the file and returns a [Plugin] with a GoMLX backend. The backend's
//     calls pass through this package: compiling goes through a cache on disk, executions
//     are counted and timed, buffers and executables are counted.
//   - [OpenTopology] and [OpenCard] compile programs for a TPU or a GPU without one.
//   - [Plugin.Profiler] traces the device with the plugin's own tracer, if it has one.
//   - [CodeOf] and [Lost] classify a plugin's errors.
//
// The package is one of the two with C. It must not know models, requests or steps.
// Begin with Open. pjrt/wheel finds and fetches the file that it opens, and pjrt/hlo
// reads the optimized programs that compilers show.
//
// GoMLX calls a plugin through go-xla, which calls a table of C functions. Open gives it
// a copy of the plugin's table in which some functions are ours (interpose.c, with
// intercept.go). They decide in Go what to do, and call the plugin's own table.
//
// The C API that all plugins share is declared in pjrt_c_api.h, the unmodified header
// of OpenXLA as the Go module github.com/gomlx/go-xla carries it; see its head for its
// licence. Plugins may be older or newer than the header.
package pjrt
