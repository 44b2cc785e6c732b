package score

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"scored/score/plan"
)

// Scorer answers requests on one or more Engines. It takes each through check, encode,
// wait, run and finish. It owns two goroutines for each Engine and one that probes
// devices whose steps fail. Its methods are safe for concurrent use.
type Scorer struct {
	cfg      Config
	limits   limits
	prompter *prompter
	ladder   *plan.Ladder
	queue    *queue
	prober   *prober
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
	q := newQueue(&cfg, ladder)
	for i, engine := range engines {
		if !slices.Equal(engine.Buckets(), engines[0].Buckets()) {
			return nil, fmt.Errorf("engine %d has other buckets than engine 0; replicas must be alike", i)
		}
		if engine.Pages() < ladder.Pages() {
			return nil, fmt.Errorf("engine %d has a cache of %d pages, its largest bucket needs %d",
				i, engine.Pages(), ladder.Pages())
		}
		q.attach(newDevice(i, engine, ladder, q, &cfg),
			plan.NewPlanner(ladder, plan.NewTable(engine.Pages(), cfg.KeepPages)))
	}
	s := &Scorer{cfg: cfg, limits: newLimits(&cfg, encoder != nil),
		prompter: newPrompter(&cfg, encoder), ladder: ladder, queue: q, prober: newProber(q, ladder)}
	for _, d := range q.devices {
		d.start()
	}
	go s.prober.run()
	return s, nil
}

// Score answers req, or returns an *Error. When ctx ends, rows that are not yet in a
// step are dropped and Score returns at once with kind Deadline. Each stage that was
// entered is reported to the Observer.
func (s *Scorer) Score(ctx context.Context, req *Request) (*Result, error) {
	req, err := s.limits.labelled(req)
	if err != nil {
		return nil, err
	}
	if err := s.limits.check(req); err != nil {
		return nil, err
	}
	if len(req.Items) == 0 {
		return &Result{Scores: [][]float64{}}, nil
	}
	columns, err := s.limits.columns(req)
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
	prompts, reusable, err := s.prompter.prompts(ctx, req, result, reserved)
	encoded := Span{Stage: StageEncode, RequestID: req.ID, Start: start, End: time.Now(),
		Rows: len(req.Items), Err: err}
	if err != nil {
		s.cfg.observe(encoded)
		return nil, err
	}
	job := newJob(s.ladder, req, columns, prompts, result.ItemErrors, reusable)
	encoded.Rows, encoded.Tokens = job.Rows, job.Tokens
	result.Timing.Encode = encoded.End.Sub(start)
	s.cfg.observe(encoded)
	if err := s.await(ctx, job); err != nil {
		return nil, err
	}
	return job.finish(req, result)
}

// leave cancels a job whose request ended before its rows were scored, with err, and
// reports the stages that it has entered. The wait has the rows that no step took.
func (s *Scorer) leave(job *job, err error) {
	dropped, started := s.queue.cancel(job)
	now := time.Now()
	wait := Span{Stage: StageWait, RequestID: job.id, Start: job.queued, End: now, Rows: dropped,
		Err: err}
	if started.IsZero() {
		s.cfg.observe(wait)
		return
	}
	wait.End = started
	s.cfg.observe(wait)
	s.cfg.observe(Span{Stage: StageRun, RequestID: job.id, Start: started, End: now,
		Rows: job.Rows - dropped, Err: err})
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
		s.leave(job, err)
		return err
	}
	wait := Span{Stage: StageWait, RequestID: job.id, Start: job.queued, End: job.started,
		Rows: job.Rows, Tokens: job.Tokens, Err: job.err}
	if job.started.IsZero() { // failed before any step took a row
		wait.End = job.ended
		s.cfg.observe(wait)
		return job.err
	}
	run := Span{Stage: StageRun, RequestID: job.id, Start: job.started, End: job.ended,
		Rows: job.Rows, Tokens: job.Tokens,
		Cached: job.cached(), Err: job.err}
	s.cfg.observe(wait)
	s.cfg.observe(run)
	return job.err
}

// BetweenSteps calls do while no device runs a step, and lets none begin until do
// returns. Steps that were queued on a device have ended too, so the devices are idle.
// Requests are still admitted and wait in the queue.
//
// If ctx ends before the steps in flight have, or a device is lost, do is not called
// and the error says why. After Close, do is called as soon as the last step has ended.
// It returns do's error unchanged.
func (s *Scorer) BetweenSteps(ctx context.Context, do func() error) error {
	release, err := s.queue.underWay.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return do()
}

// Flush drops the prefixes cached on all devices and returns how many there were. While
// rows wait or run it does nothing and returns an *Error of kind Unavailable.
func (s *Scorer) Flush() (int, error) { return s.queue.flush() }

// Drain refuses new requests from now on and waits until every admitted row is
// answered, or ctx ends; then it returns an error. Call Close afterwards.
func (s *Scorer) Drain(ctx context.Context) error { return s.queue.drain(ctx) }

// Close refuses new requests, fails the rows that wait, waits for the steps in flight,
// and returns. It may be called more than once.
func (s *Scorer) Close() {
	s.queue.close()
	s.prober.close()
	for _, d := range s.queue.devices {
		<-d.stopped
	}
}
