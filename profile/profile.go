// Package profile records what the device and the requests did, as traces that XProf,
// TensorBoard and Perfetto open. It also reads such traces and reports on them.
//
// A Profiler has at most one session. It sees the stream of score.Span: a step belongs
// to a session if it started after the session was accepted. Each session has one
// goroutine, which ends with it.
//
// The package must not know engines, plugins or HTTP. A device's own trace comes from a
// Device, as bytes. Begin with New and Profiler.Start to record, and with Report to
// read.
package profile

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"scored/score"
)

// Config configures a Profiler.
type Config struct {
	// DefaultDir receives the traces of sessions that name no folder. It must be
	// absolute.
	DefaultDir string
	// Root, if not "", is the folder below which all traces must be, symbolic links
	// resolved.
	Root string
	// Host names the trace files; "" means os.Hostname.
	Host string
	// DeviceName is the name of the device that runs the steps, e.g. "TPU v6 lite"; ""
	// means "CPU".
	DeviceName string
	// Device, if not nil, traces the device itself. Its trace is merged into ours.
	Device Device
	// BetweenSteps calls do while no step runs or is queued on any device. If ctx ends
	// first, it returns an error without calling do. Device is started and stopped only
	// inside of it, because starting or stopping a tracer beside a running step can
	// crash the device. Nil means that Device may be started and stopped at any time.
	BetweenSteps func(ctx context.Context, do func() error) error
	// Cost, if not nil, returns the floating-point operations of a step of this shape
	// and the bytes that it moves.
	Cost func(score.Bucket) (flops, bytes float64)
	// EmulateSGLang reproduces sglang-jax's step counts, and its error when a session
	// that has ended by itself is stopped.
	EmulateSGLang bool

	MaxEvents   int           // spans recorded by a session; 0 means 500,000
	MaxBytes    int64         // memory for these spans; 0 means 256 MiB
	MaxDuration time.Duration // after which a session ends by itself; 0 means 10 minutes
	// MaxDeviceBytes bounds the trace of Device; a larger one is left out. 0 means 512
	// MiB, which take four times as much memory to merge.
	MaxDeviceBytes int64
	// MaxChromeEvents bounds the .trace.json.gz, which viewers load whole; 0 means
	// 1,000,000. The .xplane.pb has all events.
	MaxChromeEvents int

	Log *slog.Logger // reports sessions that end by themselves; nil means none
}

// Device traces the device between Start and Stop. The levels are those of XLA's
// ProfileOptions. Stop returns a serialized XSpace, whose lines count their time from
// 1970 or from Start. It may return a trace together with an error. Calls never
// overlap.
type Device interface {
	Start(hostLevel, deviceLevel int) error
	Stop() ([]byte, error)
}

// Options are a client's options of a session.
type Options struct {
	// OutputDir receives the trace; "" means Config.DefaultDir. It must be absolute,
	// because the client does not know the server's working directory. Missing folders
	// are created.
	OutputDir string
	// StartStep arms the session: it begins with step StartStep, or the next one if
	// that is later. Nil and 0 mean now.
	StartStep *int64
	// NumSteps ends the session after so many steps, and up to a second later, when
	// their requests are answered. Nil and 0 mean that Stop ends it.
	NumSteps *int64
	// ByStage puts the trace in a folder named after the stage of inference. StartStep
	// is ignored then, and NumSteps is 5 by default.
	ByStage bool
	// Stages are the stages to record, "prefill" and "decode"; nil means both. Scoring
	// has only prefill steps.
	Stages []string
	// HostTracerLevel 0 leaves out the lanes of requests; nil means 2. Levels 1 to 3
	// differ only for Config.Device.
	HostTracerLevel *int
	// DeviceTracerLevel 0 leaves out Config.Device; nil means 1. The device defines
	// higher levels.
	DeviceTracerLevel *int
	// PythonTracerLevel is recorded in the trace and has no other effect: there is no
	// Python.
	PythonTracerLevel *int
}

// Profiler runs sessions, one at a time. Its methods are safe for concurrent use.
type Profiler struct {
	cfg    Config
	open   func(root, dir string) (*folder, error)
	live   atomic.Pointer[recorder] // gets the spans; nil if no session records
	latest atomic.Int64             // number of the last step that ended
	tracer deviceTracer

	// mu must be held for the fields below.
	mu      sync.Mutex
	current *session // armed, recording or writing; nil when idle
	last    *session // the one before; nil at first
	settled bool     // the result of last has been returned, or there was no last
	closed  bool
}

// New returns an idle Profiler. The caller must call Close.
func New(cfg Config) *Profiler {
	if cfg.Host == "" {
		cfg.Host = hostname()
	}
	cfg.Host = fileStem(cfg.Host)
	cfg.DeviceName = orDefault(cfg.DeviceName, "CPU")
	cfg.MaxEvents = orDefault(cfg.MaxEvents, 500_000)
	cfg.MaxBytes = orDefault(cfg.MaxBytes, 256<<20)
	cfg.MaxDuration = orDefault(cfg.MaxDuration, 10*time.Minute)
	cfg.MaxDeviceBytes = orDefault(cfg.MaxDeviceBytes, 512<<20)
	cfg.MaxChromeEvents = orDefault(cfg.MaxChromeEvents, 1_000_000)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Profiler{cfg: cfg, open: openFolder, settled: true,
		tracer: deviceTracer{device: cfg.Device, between: cfg.BetweenSteps}}
}

// orDefault returns value, or otherwise if value is zero.
func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// hostname returns the name of this machine, for the names of trace files.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// Observe records span if a session wants it. It implements score.Observer and does not
// block.
func (p *Profiler) Observe(span score.Span) {
	if span.Stage == score.StageStep {
		p.latest.Store(span.Number)
	}
	if r := p.live.Load(); r != nil {
		r.observe(&span)
	}
}

// Start begins a session, or arms one that begins later. It replaces a session that is
// only armed. The errors are ErrRunning, ErrClosed, *OptionError, *DirError and those
// of Config.Device; after each the profiler is as it was before.
func (p *Profiler) Start(opts Options) error {
	plan, err := p.plan(opts)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.current != nil && !p.current.rec.armed() {
		return ErrRunning
	}
	out, err := p.open(p.cfg.Root, plan.dir)
	if err != nil {
		return err
	}
	if !p.disarm() {
		out.close()
		return ErrRunning
	}
	s := newSession(p, plan, out, p.latest.Load())
	if err := s.launch(); err != nil {
		out.close()
		return err
	}
	p.current = s
	return nil
}

// disarm drops the armed session, if there is one. It returns false if that session has
// begun or ended meanwhile. p.mu must be held.
func (p *Profiler) disarm() bool {
	if p.current != nil && !p.current.cancel() {
		return false
	}
	p.current = nil
	return true
}

// Stop ends the session and returns when its files are on disk, or with the reason why
// they are not. It drops an armed session. After a session that has ended by itself,
// the first Stop returns the result of writing its files. Otherwise it returns ErrIdle.
//
// With Config.EmulateSGLang Stop returns ErrIdle for a session that has ended by itself
// and for an armed one, which stays armed.
func (p *Profiler) Stop() error {
	p.mu.Lock()
	s := p.current
	if s == nil {
		defer p.mu.Unlock()
		if p.settled || p.cfg.EmulateSGLang {
			return ErrIdle
		}
		p.settled = true
		return p.last.err
	}
	if s.rec.armed() {
		if p.cfg.EmulateSGLang {
			p.mu.Unlock()
			return ErrIdle
		}
		if p.disarm() {
			p.mu.Unlock()
			return nil
		} // otherwise it has just begun
	}
	p.mu.Unlock()
	s.stop()
	return p.settle(s)
}

// settle waits until the session's files are on disk, and records that its result has
// been returned.
func (p *Profiler) settle(s *session) error {
	<-s.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == s {
		p.settled = true
	}
	return s.err
}

// retire makes the profiler idle after session s, whose files are on disk or have
// failed.
func (p *Profiler) retire(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.last, p.settled = nil, s, false
}

// Running reports whether a session records or writes its files. A session that is
// armed and has not begun is not running. A session by stage runs from the moment it is
// accepted.
func (p *Profiler) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil && !p.current.rec.armed()
}

// Close ends the session, writes its files, and refuses new sessions. It returns why
// the files could not be written. When it returns, every session has closed its folder.
func (p *Profiler) Close() error {
	p.mu.Lock()
	p.closed = true
	p.disarm()
	s, last := p.current, p.last
	p.mu.Unlock()
	if last != nil {
		<-last.done // a session retires a moment before its goroutine ends
	}
	if s == nil {
		return nil
	}
	s.stop()
	return p.settle(s)
}
