package pjrt

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	goxla "github.com/gomlx/go-xla/pjrt"
	"k8s.io/klog/v2"

	"scored/pjrt/wheel"
)

// Options configure how a plugin is opened. The zero value works.
type Options struct {
	// CacheDir is the folder of compiled programs. It is created if it is missing, and
	// kept below 20 GB. "" means that every start compiles every program.
	CacheDir string
	// Client options of the plugin itself, as PJRT_Client_Create takes them: string,
	// int64, []int64, float32 or bool.
	Client map[string]any
	// Compile are options of XLA's compiler: fields of its DebugOptions, by name, with
	// values as XLA_FLAGS writes them. They have priority over XLA_FLAGS. They belong to
	// the compile cache's keys, as all options do.
	Compile map[string]string
	// Folders are options of XLA's compiler whose value is a folder for its own findings,
	// such as the fastest of several kernels. Each gets a folder inside CacheDir, named by
	// the value given here and the plugin file's digest. The folders are no part of the
	// compile cache's keys. Without a CacheDir, or if it cannot be written, the options
	// are left out.
	Folders map[string]string
	// Rewrite, if set, returns the program that is compiled in place of program. Both are
	// StableHLO text. It may use operations of a device that GoMLX cannot express. The
	// inputs and outputs must be those of program.
	Rewrite func(program []byte) []byte
	// Capture, if set, is called with every program after it is compiled or loaded, in
	// the form that Topology.Compile takes. It must not keep the slices.
	Capture func(name string, program, options []byte)
	// CaptureOnly compiles nothing. Capture gets every program, without a name, and an
	// empty program takes its place in the plugin. So the CPU plugin gives the programs of
	// any device at once. The executables must not be run.
	CaptureOnly bool
	// Async lets an execution return when it is dispatched, so that the next one can be
	// queued while the device works. Reading an output waits for its execution and
	// returns the error of the execution that failed. Inputs may be finalized at once.
	// The times in Stats and Programs are then those of the dispatch. Async turns shared
	// buffers off, because nothing would tell when the device has read one.
	Async  bool
	Logger *slog.Logger // nil: silence
}

// Plugin is an opened PJRT plugin with one client. All its methods may be called at any
// time from any goroutine.
type Plugin struct {
	info     Info // without the digest; does not change once the plugin is open
	slot     slot
	library  library
	options  Options
	log      *slog.Logger
	digest   func() (string, error) // of the plugin's file, computed once
	compiler *compiler
	programs *programs
	backend  compute.Backend
	profiler *Profiler // nil: the plugin has none that can be used
	closed   atomic.Bool
}

// Open loads the plugin's file into the process and creates its client, which the
// caller must Close. A file can be open only once at a time; opening it again after
// Close is fine. The file stays mapped for the life of the process.
func Open(path string, options Options) (*Plugin, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("plugin path %q: %w", path, err)
	}
	if err := wheel.Check(path); err != nil {
		return nil, err
	}
	p := &Plugin{options: options, log: options.Logger, programs: newPrograms()}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.digest = sync.OnceValues(func() (string, error) { return fileDigest(path, options.CacheDir) })
	quietLibraries(p.log)
	if p.slot, p.library, err = openSlot(path, p, options.Async); err != nil {
		return nil, err
	}
	p.compiler = p.newCompiler()
	p.info.Path = path
	p.info.APIMajor, p.info.APIMinor = p.library.version()
	if profiler, err := p.library.profiler(); err == nil {
		p.profiler, p.info.ProfilerExtension = profiler, true
	}
	if err := p.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("plugin %s cannot start its device: %w", path, err), p.Close())
	}
	return p, nil
}

// newCompiler makes the compiler of the plugin's options. A cache that cannot be used
// is left out with a warning, because every program can be compiled without it.
func (p *Plugin) newCompiler() *compiler {
	c := &compiler{library: p.library, options: p.options, digest: p.digest, programs: p.programs,
		log: p.log}
	if p.options.CacheDir == "" {
		return c
	}
	var err error
	if c.cache, err = newCache(p.options.CacheDir, mostCacheBytes); err != nil {
		p.log.Warn("compile cache is off", "error", err)
		return c
	}
	if len(p.options.Folders) == 0 {
		return c
	}
	digest, err := p.digest()
	if err == nil {
		c.folders, err = c.cache.makeFolders(p.options.Folders, "-"+digest[:16])
	}
	if err != nil {
		p.log.Warn("compiler keeps nothing of what it tunes; make the compile cache's folder writable",
			"error", err)
	}
	return c
}

// start creates the client and reads its platform and devices.
func (p *Plugin) start() error {
	// Only a client knows its platform, and the platform decides which options its client
	// needs. The CPU's client is created twice, which is cheap; others need no options.
	if err := p.connect("", p.options.Client); err != nil {
		return err
	}
	if p.info.Platform == "cpu" {
		p.backend.Finalize()
		// The default is four devices, all of them the same processor.
		client := map[string]any{"cpu_device_count": int64(1)}
		maps.Copy(client, p.options.Client)
		features := ",shared_buffers"
		if p.options.Async {
			features = ""
		}
		if err := p.connect(features, client); err != nil {
			return err
		}
		p.info.SharedBuffers = !p.options.Async
	}
	var err error
	p.info.Devices, err = p.library.deviceKinds(p.slot.client())
	p.compiler.device = target{platform: p.info.Platform, version: p.info.PlatformVersion,
		devices: p.info.Devices}
	return err
}

// connect makes the GoMLX backend over the slot's table.
func (p *Plugin) connect(features string, client map[string]any) error {
	backend, err := xla.NewWithOptions(p.slot.name()+features, goxla.NamedValuesMap(client))
	if err != nil {
		return err
	}
	p.backend = backend
	p.info.Platform, p.info.PlatformVersion, err = p.library.platform(p.slot.client())
	return err
}

// quietLibraries sends what GoMLX and go-xla log to our logger alone. They log through
// klog, which the whole process shares: the plugin opened last gets it all.
func quietLibraries(log *slog.Logger) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	klog.SetSlogLogger(log)
}

// Backend returns the GoMLX backend of the plugin's devices. It is valid until Close.
// The caller must not finalize it: Close does.
func (p *Plugin) Backend() compute.Backend { return p.backend }

// Info returns what the plugin is. The first call may take a second, because it hashes
// the plugin's file; the digest is "" if the file can no longer be read.
func (p *Plugin) Info() Info {
	info := p.info
	info.Devices = slices.Clone(info.Devices)
	if digest, err := p.digest(); err == nil {
		info.Digest = digest
	}
	return info
}

// Profiler is the plugin's own tracer, the same at every call. The error says what the
// plugin lacks; plugins of the CPU have none.
func (p *Plugin) Profiler() (*Profiler, error) {
	if p.profiler == nil {
		_, err := p.library.profiler()
		return nil, fmt.Errorf("plugin %s cannot trace its device: %w", p.info.Path, err)
	}
	return p.profiler, nil
}

// Stats returns the counts so far.
func (p *Plugin) Stats() Stats {
	stats := p.programs.stats()
	stats.Buffers = p.slot.buffers()
	return stats
}

// Programs lists the loaded executables in the order of their loading.
func (p *Plugin) Programs() []Program { return p.programs.list() }

// Close destroys the client. Buffers and executables must be finalized before. Those
// that are not are counted in the error and leaked: freeing them under a device that
// may still run could crash the process. A second Close does nothing.
func (p *Plugin) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	left := p.Stats()
	if p.profiler != nil {
		if err := p.profiler.abandon(); err != nil {
			p.log.Warn("device trace is left open", "error", err)
		}
	}
	if p.backend != nil {
		p.backend.Finalize()
	}
	p.slot.release()
	if left.Buffers != 0 || left.Executables != 0 {
		return fmt.Errorf("plugin %s closed with %d buffers and %d executables alive: finalize them "+
			"first", p.info.Path, left.Buffers, left.Executables)
	}
	return nil
}
