package score

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"scored/score/plan"
)

// Config configures a Scorer. A zero value means the default named here.
type Config struct {
	Vocab         int     // prompts and labels may use ids 0..Vocab-1; required
	ContextLength int     // a row must have fewer tokens than this; required
	Classes       Classes // what the model tells apart, if it is a classifier
	AllowTruncate bool    // --allow-auto-truncate: cut every row that is too long, for every request
	MaxQueue      int     // rows admitted at once, as countRows counts them; 0 means 65536
	MaxTokens     int     // prompt tokens held at once, even while tokenizing; 0 means 16 Mi
	MaxLabels     int     // distinct labels of a request; 0 means 1,024
	MaxScores     int     // numbers in an answer, as Request.Numbers counts them; 0 means 2 Mi
	EncodeBytes   int     // bytes of text that are in tokenizers at once; 0 means 2 MiB
	Encoders      int     // prompts tokenized in parallel; 0 means GOMAXPROCS
	// MaxBacklog is the longest predicted time to an answer: a request that would take
	// longer is refused. 0 means no bound.
	MaxBacklog time.Duration
	// KeepPages is how many pages of the KV cache may be in use before unused prefixes
	// are dropped for new ones. 0 means all.
	KeepPages int
	Watchdog  time.Duration // a step that runs longer makes Ready and Alive fail; 0 means 5 minutes
	Observer  Observer      // nil means none
}

// withDefaults replaces zero values by the defaults.
func (c Config) withDefaults() Config {
	orElse := func(value *int, otherwise int) {
		if *value == 0 {
			*value = otherwise
		}
	}
	orElse(&c.MaxQueue, 1<<16)
	orElse(&c.MaxTokens, 1<<24)
	orElse(&c.MaxLabels, 1<<10)
	orElse(&c.MaxScores, 1<<21)
	orElse(&c.EncodeBytes, 2<<20)
	orElse(&c.Encoders, runtime.GOMAXPROCS(0))
	if c.Watchdog == 0 {
		c.Watchdog = 5 * time.Minute
	}
	return c
}

// Scorer answers requests on one or more Engines. It takes each through check, encode,
// wait, run and finish. It owns two goroutines for each Engine and one that watches
// them. Its methods are safe for concurrent use.
type Scorer struct {
	cfg     Config
	encoder Encoder
	gate    *gate // bytes of text in tokenizers
	ladder  *plan.Ladder
	queue   *queue
	devices []*device
	closed  chan struct{} // closed by Close, which may be called more than once
	close   sync.Once
	watched chan struct{} // closed when watch has ended
}

// New starts a Scorer over Engines whose buckets are ready. The Engines must be
// replicas of one model, with the same buckets. encoder may be nil; then only token ids
// can be scored. The caller must call Close, and after that close the Engines, which
// stay its own.
func New(cfg Config, encoder Encoder, engines ...Engine) (*Scorer, error) {
	cfg = cfg.withDefaults()
	if cfg.Vocab <= 0 || cfg.ContextLength <= 0 {
		return nil, errors.New("scorer needs a vocabulary size and a context length")
	}
	if len(engines) == 0 {
		return nil, errors.New("scorer needs an engine")
	}
	ladder, err := plan.NewLadder(engines[0].Buckets(), cfg.ContextLength)
	if err != nil {
		return nil, err
	}
	s := &Scorer{cfg: cfg, encoder: encoder, gate: newGate(cfg.EncodeBytes), ladder: ladder,
		queue: newQueue(cfg, plan.NewBacklog(ladder)), closed: make(chan struct{}),
		watched: make(chan struct{})}
	for i, engine := range engines {
		if !slices.Equal(engine.Buckets(), engines[0].Buckets()) {
			return nil, fmt.Errorf("engine %d has other buckets than engine 0; replicas must be alike", i)
		}
		if engine.Pages() < ladder.Pages() {
			return nil, fmt.Errorf("engine %d has a cache of %d pages, its largest bucket needs %d",
				i, engine.Pages(), ladder.Pages())
		}
		planner := plan.NewPlanner(ladder, plan.NewTable(engine.Pages(), cfg.KeepPages))
		d := newDevice(i, engine, planner, s.queue, cfg.Watchdog, s.observe)
		d.waits = plan.NewBacklog(ladder)
		s.devices = append(s.devices, d)
	}
	s.queue.devices, s.queue.returns = s.devices, plan.NewReturns(ladder)
	for _, d := range s.devices {
		d.start()
	}
	go s.watch()
	return s, nil
}

// Score answers req, or returns an *Error. When ctx ends, rows that are not yet in a
// step are dropped and Score returns at once with kind Deadline. Each stage that was
// entered is reported to the Observer.
func (s *Scorer) Score(ctx context.Context, req *Request) (*Result, error) {
	req, err := s.labelled(req)
	if err != nil {
		return nil, err
	}
	if err := s.check(req); err != nil {
		return nil, err
	}
	if len(req.Items) == 0 {
		return &Result{Scores: [][]float64{}}, nil
	}
	columns, err := s.columns(req)
	if err != nil {
		return nil, err
	}
	reserved, err := s.queue.admit(req, &columns)
	if err != nil {
		return nil, err
	}
	defer reserved.release()

	start := time.Now()
	result := &Result{Scores: make([][]float64, len(req.Items))}
	prompts, reusable, err := s.encode(ctx, req, result, reserved)
	encoded := Span{Stage: StageEncode, RequestID: req.ID, Start: start, End: time.Now(),
		Rows: len(req.Items), Err: err}
	if err != nil {
		s.observe(encoded)
		return nil, err
	}
	job := newJob(s.ladder, req, columns, prompts, result.ItemErrors, reusable)
	encoded.Rows, encoded.Tokens = job.Rows, job.Tokens
	result.Timing.Encode = encoded.End.Sub(start)
	s.observe(encoded)
	if err := s.await(ctx, job); err != nil {
		return nil, err
	}
	return s.finish(req, job, result)
}

// await queues the job and returns when its last row has been scored, or ctx ends. It
// reports the wait and run stages.
func (s *Scorer) await(ctx context.Context, job *job) error {
	if job.Rows == 0 {
		return nil
	}
	if err := s.queue.push(job); err != nil {
		return err
	}
	select {
	case <-job.done:
	case <-ctx.Done():
		err := &Error{Kind: Deadline, Message: "request ended before its rows were scored",
			Err: context.Cause(ctx)}
		dropped := s.queue.cancel(job)
		s.observe(Span{Stage: StageWait, RequestID: job.id, Start: job.queued, End: time.Now(),
			Rows: dropped, Err: err})
		return err
	}
	wait := Span{Stage: StageWait, RequestID: job.id, Start: job.queued, End: job.started,
		Rows: job.Rows, Tokens: job.Tokens, Err: job.err}
	if job.started.IsZero() { // failed before any step took a row
		wait.End = job.ended
		s.observe(wait)
		return job.err
	}
	run := Span{Stage: StageRun, RequestID: job.id, Start: job.started, End: job.ended,
		Rows: job.Rows, Tokens: job.Tokens,
		Cached: job.cached(), Err: job.err}
	s.observe(wait)
	s.observe(run)
	return job.err
}

// Ready returns nil if requests can be answered, otherwise an *Error of kind
// Unavailable that says why not.
func (s *Scorer) Ready() error {
	if err := s.queue.open(); err != nil {
		return err
	}
	for _, d := range s.devices {
		if err := d.healthy(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Flush drops the prefixes cached on all devices and returns how many there were. While
// rows wait or run it does nothing and returns an *Error of kind Unavailable.
func (s *Scorer) Flush() (int, error) { return s.queue.flush() }

// Load returns a snapshot of the work in hand.
func (s *Scorer) Load() Load { return s.queue.load() }

// Buckets lists the step shapes of the engines, the cheapest first.
func (s *Scorer) Buckets() []Bucket { return s.ladder.Buckets() }

// MaxLabels returns how many distinct labels a request may have.
func (s *Scorer) MaxLabels() int { return s.cfg.MaxLabels }

// MaxScores returns how many numbers an answer may hold, as Request.Numbers counts
// them.
func (s *Scorer) MaxScores() int { return s.cfg.MaxScores }

// Drain refuses new requests from now on and waits until every admitted row is
// answered, or ctx ends; then it returns an error. Call Close afterwards.
func (s *Scorer) Drain(ctx context.Context) error { return s.queue.drain(ctx) }

// Close refuses new requests, fails the rows that wait, waits for the steps in flight,
// and returns. It may be called more than once.
func (s *Scorer) Close() {
	s.queue.close()
	s.close.Do(func() { close(s.closed) })
	<-s.watched
	for _, d := range s.devices {
		<-d.stopped
	}
}

// observe reports a span to the Observer, if there is one.
func (s *Scorer) observe(span Span) {
	if s.cfg.Observer != nil {
		s.cfg.Observer.Observe(span)
	}
}

// Load is a snapshot of the work in hand.
type Load struct {
	Requests      int // requests with rows waiting or running
	WaitingRows   int
	WaitingTokens int
	RunningRows   int
	Backlog       []time.Duration // by device: predicted time until the work in hand is done
	Steps         int64           // steps begun since start
	MaxRows       int             // bound of admitted rows
	MaxTokens     int             // bound of admitted prompt tokens
}
