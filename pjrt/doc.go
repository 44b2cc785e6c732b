// Package pjrt opens PJRT plugins: the shared objects through which XLA drives a CPU, a
// GPU or a TPU.
//
//   - [Open] loads the file and gives a GoMLX backend whose calls pass through this
//     package: compiling goes through an on-disk cache, executions are counted and
//     timed, buffers and executables are counted.
//   - [OpenTopology] compiles programs for a TPU that is not there.
//   - [Plugin.Profiler] traces the device with the plugin's own tracer, if it has
//     one.
//
// It is one of the two packages with C. It must know nothing else of ours: no model, no
// request, no step. Begin with Open; pjrt/wheel finds and fetches the file that it
// opens, pjrt/hlo reads what compilers show.
//
// The C API that all plugins share is declared in pjrt_c_api.h, the unmodified header
// of OpenXLA as the Go module github.com/gomlx/go-xla carries it; see its head for its
// licence. Plugins may be older or newer than the header.
package pjrt
