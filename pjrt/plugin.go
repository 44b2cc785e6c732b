package pjrt

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	goxla "github.com/gomlx/go-xla/pjrt"
	"k8s.io/klog/v2"

	"scored/pjrt/wheel"
)

// Options say how a plugin is opened. The zero value works.
type Options struct {
	// folder of compiled programs, made when missing and kept below 20 GB; "" compiles
	// every program anew
	CacheDir string
	// Client options of the plugin itself, as PJRT_Client_Create takes them: string,
	// int64, []int64, float32 or bool.
	Client map[string]any
	// Compile are options of XLA's compiler: fields of its DebugOptions, by name, as
	// XLA_FLAGS writes their values. They come before what XLA_FLAGS says, and belong to
	// the compile cache's keys as all options do.
	Compile map[string]string
	// Folders are options of XLA's compiler in which it keeps what it has found out, such
	// as the fastest of several kernels: each gets a folder of its own inside CacheDir, of
	// the name given and this plugin file's digest. The folders are no part of the compile
	// cache's keys. Without a CacheDir, or where it cannot be written, the options are
	// left out.
	Folders map[string]string
	// Rewrite, if set, gives what is compiled in place of a program, as StableHLO text
	// both: so a device gets operations that GoMLX has no word for. Inputs and outputs
	// must stay.
	Rewrite func(program []byte) []byte
	// Capture, if set, is handed every program once it is compiled or loaded: what
	// Topology.Compile takes. It must not keep the slices.
	Capture func(name string, program, options []byte)
	// CaptureOnly compiles nothing: every program is captured, without a name, and an
	// empty one takes its place. So the programs of any device can be had in no time from
	// a plugin that is at hand. They must not be run.
	CaptureOnly bool
	// Async lets an execution return once it is dispatched, so that the device finds the
	// next one waiting when it is done. Reading an output waits for it, and gives the
	// error of whatever it came from; inputs may be finalized at once. Times of executions
	// are then those of their dispatch. It turns shared buffers off, as nothing would tell
	// when the device has read them.
	Async  bool
	Logger *slog.Logger // nil: silence
}

// Plugin is an opened PJRT plugin with one client. All its methods may be called at any
// time from any goroutine.
type Plugin struct {
	info    Info
	slot    int
	library library
	digest  func() (string, error) // of the plugin file, computed once
	options Options
	log     *slog.Logger
	cache   *cache // nil: none
	// folders are the options of Options.Folders, with the paths.
	folders map[string]string
	backend compute.Backend
	// profiler is the plugin's own, nil if it has none to be used.
	profiler *Profiler

	mu          sync.Mutex
	stats       Stats
	executables map[executable]*Program
	order       int64 // of the last one loaded
	closed      bool
}

// Open loads the plugin file into the process and creates its client. A file can be
// open only once at a time; opening it again after Close is fine. The file stays mapped
// for the life of the process.
func Open(path string, options Options) (*Plugin, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("plugin path %q: %w", path, err)
	}
	if err := wheel.Check(path); err != nil {
		return nil, err
	}
	p := &Plugin{options: options, log: options.Logger, executables: map[executable]*Program{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if options.CacheDir != "" {
		if p.cache, err = newCache(options.CacheDir, mostCacheBytes); err != nil {
			p.log.Warn("compile cache is off", "error", err)
		}
	}
	p.digest = sync.OnceValues(func() (string, error) { return fileDigest(path, options.CacheDir) })
	if p.folders, err = p.makeFolders(); err != nil {
		p.log.Warn("compiler keeps nothing of what it tunes; make the compile cache's folder writable",
			"error", err)
	}
	quietLibraries(p.log)
	if err := p.attach(path); err != nil {
		return nil, err
	}
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

// start creates the client and learns what it is.
func (p *Plugin) start() error {
	// What a client needs depends on its platform, which only a client can tell. A client
	// of the CPU is cheap to make twice; others may not be, and need nothing.
	if err := p.connect("", p.options.Client); err != nil {
		return err
	}
	if p.info.Platform == "cpu" {
		p.backend.Finalize()
		// the default is four, all the same processor
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
	p.info.Devices, err = p.library.deviceKinds(p.client())
	return err
}

// connect makes the GoMLX backend over the slot's table.
func (p *Plugin) connect(features string, client map[string]any) error {
	backend, err := xla.NewWithOptions(slotName(p.slot)+features, goxla.NamedValuesMap(client))
	if err != nil {
		return err
	}
	p.backend = backend
	p.info.Platform, p.info.PlatformVersion, err = p.library.platform(p.client())
	return err
}

// quietLibraries sends what GoMLX and go-xla log through klog, which the whole process
// shares, to our logger alone.
func quietLibraries(log *slog.Logger) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	klog.SetSlogLogger(log)
}

// Backend is the GoMLX backend of the plugin's devices. It is valid until Close.
func (p *Plugin) Backend() compute.Backend { return p.backend }

// Info describes the plugin. The first call may take a second, to hash the file.
func (p *Plugin) Info() Info {
	info := p.info
	info.Devices = slices.Clone(info.Devices)
	if digest, err := p.digest(); err == nil {
		info.Digest = digest
	}
	return info
}

// Stats returns the counts so far.
func (p *Plugin) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.Executables = int64(len(p.executables))
	stats.Buffers = p.buffers()
	return stats
}

// Programs lists the loaded executables in the order of their loading.
func (p *Plugin) Programs() []Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Program, 0, len(p.executables))
	for _, program := range p.executables {
		list = append(list, *program)
	}
	slices.SortFunc(list, func(a, b Program) int { return cmp.Compare(a.order, b.order) })
	return list
}

// Close destroys the client. Buffers and executables must be finalized before; those
// that are not are leaked for safety, never freed under a running device, and counted
// in the error. A second Close does nothing.
func (p *Plugin) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
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
	p.detach()
	if left.Buffers != 0 || left.Executables != 0 {
		return fmt.Errorf("plugin %s closed with %d buffers and %d executables alive: finalize them "+
			"first", p.info.Path, left.Buffers, left.Executables)
	}
	return nil
}

// executed records one execution and returns how many outputs it has per device.
func (p *Plugin) executed(id executable, took time.Duration, failed bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	program, outputs := p.executables[id], 0
	if program != nil {
		outputs = program.outputs
		program.Executions++
		program.Execution += took
	}
	p.stats.Executions++
	p.stats.ExecutionTime += took
	if failed {
		p.stats.FailedExecutions++
	}
	return outputs
}
