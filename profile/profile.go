// Package profile records what the device and the requests did, as traces that XProf, TensorBoard and Perfetto open,
// and reads such traces back for a report.
//
// A Profiler holds at most one session. It learns of everything through the stream of score.Span: a step counts for a
// session if it started after the session was accepted. Each session has one goroutine, which ends with it.
//
// It must not know engines, plugins or HTTP: a device's own trace comes from a Tracer, as bytes. Begin with New and
// Profiler.Start for recording, and with Report for reading.
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

// Config sets a Profiler up.
type Config struct {
	// DefaultDir takes the traces of sessions that name no folder. It must be absolute.
	DefaultDir string
	// Root, if not "", confines all traces to the folders below it, symbolic links included.
	Root string
	// Host names the trace files; "" means os.Hostname.
	Host string
	// DeviceName is shown for the device that runs the steps, e.g. "TPU v6 lite"; "" means "CPU".
	DeviceName string
	// Device, if not nil, traces the device itself. What it returns is merged into the trace.
	Device Device
	// BetweenSteps calls do while no step runs or is queued on any device, or returns an error without calling it when
	// ctx ends before. Device starts and stops within it alone, because a tracer that does so beside a step can bring the
	// device down. Nil: Device may start and stop at any time.
	BetweenSteps func(ctx context.Context, do func() error) error
	// Cost, if not nil, tells how many floating-point operations a step of this shape makes and how many bytes it moves.
	Cost func(score.Bucket) (flops, bytes float64)
	// EmulatePeer reproduces sglang-jax's step counts, and its error when a session is stopped that has ended by itself.
	EmulatePeer bool

	MaxEvents   int           // spans kept per session; 0 means 500,000
	MaxBytes    int64         // memory for them; 0 means 256 MiB
	MaxDuration time.Duration // a session ends by itself after this; 0 means 10 minutes
	// MaxDeviceBytes bounds what Config.Device may return; a larger trace is left out. 0 means 512 MiB, which take four
	// times as much memory to merge.
	MaxDeviceBytes int64
	// MaxChromeEvents bounds the .trace.json.gz, which viewers load whole; 0 means 1,000,000. The .xplane.pb is complete.
	MaxChromeEvents int

	Log *slog.Logger // for sessions that end by themselves; nil means none
}

// Device traces the device between Start and Stop. The levels are those of XLA's ProfileOptions. Stop returns a
// serialized XSpace, whose lines count their time from 1970 or from Start; it may return both a trace and an error.
type Device interface {
	Start(hostLevel, deviceLevel int) error
	Stop() ([]byte, error)
}

// Options are a session's, as a client gives them.
type Options struct {
	// OutputDir takes the trace; "" means Config.DefaultDir. It must be absolute, for the client does not know the
	// server's working directory. Missing folders are made.
	OutputDir string
	// StartStep arms the session: it begins with step max(StartStep, the next one). Nil and 0 mean now.
	StartStep *int64
	// NumSteps ends the session after so many steps, or up to a second later: once their requests are answered. Nil and 0
	// mean that Stop ends it.
	NumSteps *int64
	// ByStage puts the trace in a folder named after the stage of inference. StartStep is ignored, NumSteps is 5 unless given.
	ByStage bool
	// Stages are those of interest, "prefill" and "decode"; nil means both. Scoring has no other steps than prefill.
	Stages []string
	// HostTracerLevel 0 leaves out the lanes of the requests; nil means 2. Levels 1 to 3 are the same, but for Config.Device.
	HostTracerLevel *int
	// DeviceTracerLevel 0 leaves Config.Device out; nil means 1. What more levels mean is for the device to say.
	DeviceTracerLevel *int
	// PythonTracerLevel is noted in the trace and has no other effect, for there is no Python.
	PythonTracerLevel *int
}

// Profiler runs sessions, one at a time. Its methods are safe for concurrent use.
type Profiler struct {
	cfg    Config
	open   func(root, dir string) (*folder, error)
	live   atomic.Pointer[session] // the session that wants spans; nil when there is none
	latest atomic.Int64            // number of the last step that ended
	tracer deviceTracer

	mu      sync.Mutex
	current *session // armed, recording or writing; nil when idle
	last    *session // the one before; nil at first
	settled bool     // last needs no Stop any more
	closed  bool
}

// New makes an idle Profiler. Close ends it.
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
	return &Profiler{cfg: cfg, open: openFolder, settled: true, tracer: deviceTracer{device: cfg.Device, between: cfg.BetweenSteps}}
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// Observe records span if a session wants it. It implements score.Observer.
func (p *Profiler) Observe(span score.Span) {
	if span.Stage == score.StageStep {
		p.latest.Store(span.Number)
	}
	if s := p.live.Load(); s != nil {
		s.observe(&span)
	}
}

// Start begins a session, or arms one that begins later. A session that is merely armed is replaced. The errors are
// ErrRunning, ErrClosed, *OptionError, *DirError and whatever Config.Device answers; each leaves the profiler as it was.
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
	if p.current != nil && !p.current.armed() {
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
	s := newSession(p, plan, out)
	if err := s.launch(p.latest.Load()); err != nil {
		out.close()
		return err
	}
	p.current = s
	return nil
}

// disarm drops the armed session, if there is one. It fails if that session has begun or ended meanwhile. The caller
// holds p.mu.
func (p *Profiler) disarm() bool {
	if p.current != nil && !p.current.cancel() {
		return false
	}
	p.current = nil
	return true
}

// Stop ends the session and returns when its files are on disk, or with the reason why they are not. An armed session is
// dropped. After a session that has ended by itself, the first Stop returns how its writing went. Else it is ErrIdle.
// With Config.EmulatePeer the latter two are ErrIdle as well, and an armed session stays.
func (p *Profiler) Stop() error {
	p.mu.Lock()
	s := p.current
	if s == nil {
		defer p.mu.Unlock()
		if p.settled || p.cfg.EmulatePeer {
			return ErrIdle
		}
		p.settled = true
		return p.last.err
	}
	if s.armed() {
		if p.cfg.EmulatePeer {
			p.mu.Unlock()
			return ErrIdle
		}
		if p.disarm() {
			p.mu.Unlock()
			return nil
		} // else it has begun this very moment
	}
	p.mu.Unlock()
	s.stop()
	return p.settle(s)
}

// settle waits until the session's files are on disk and takes note that somebody has seen its end.
func (p *Profiler) settle(s *session) error {
	<-s.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == s {
		p.settled = true
	}
	return s.err
}

// retire makes the profiler idle after the session s, whose files are on disk or have failed.
func (p *Profiler) retire(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.last, p.settled = nil, s, false
}

// Running tells whether a session records or writes its files. One that is armed and has not begun is not running; one
// by stage runs from the moment it is accepted.
func (p *Profiler) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil && !p.current.armed()
}

// Close ends the session, writing its files, and refuses new ones. It returns what kept that session from being written.
// Every session has let go of its folder by then.
func (p *Profiler) Close() error {
	p.mu.Lock()
	p.closed = true
	p.disarm()
	s, last := p.current, p.last
	p.mu.Unlock()
	if last != nil {
		<-last.done // it makes the profiler idle a moment before it ends
	}
	if s == nil {
		return nil
	}
	s.stop()
	return p.settle(s)
}
