package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"time"

	"scored/app"
	"scored/batch"
	"scored/score"
	"scored/server"
)

// exitUnscored is the exit status of a run that has ended, and whose output has lines
// without scores.
const exitUnscored = 3

var errUnscored = errors.New("lines without scores")

// batchCommand scores files.
func batchCommand(ctx context.Context, args []string, env lookup, stderr io.Writer) (err error) {
	b, err := parseBatch(args, env, stderr)
	if err != nil {
		return err
	}
	jobs, err := batch.Jobs(b.in, b.out, b.options.Format, b.shard)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		fmt.Fprintf(stderr, "scored: part %d of %d has no files\n", b.shard.Index, b.shard.Of)
		return nil
	}
	b.options.Paths = server.Paths()
	if err := batch.Check(b.options, jobs); err != nil {
		return err
	}
	scorer, tally, closeAll, err := b.open(ctx, stderr)
	if err != nil {
		return errors.Join(err, closeAll())
	}
	display := newDisplay(stderr, b.quiet, len(jobs), tally)
	b.options.Tell, b.options.TellEvery = display.tell, display.every
	b.options.Run = b.run()
	sum, err := batch.Run(ctx, b.options, scorer, jobs)
	display.end(sum)
	if lost := (*app.LostError)(nil); errors.As(err, &lost) {
		return err // nothing of a lost device may be closed
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("stopped; what has been scored is kept, go on with --resume")
	}
	if err = errors.Join(err, closeAll()); err == nil && sum.Failed > 0 {
		return fmt.Errorf("%w: %d; the output tells why", errUnscored, sum.Failed)
	}
	return err
}

// open makes the Scorer: a server's, or that of a model in this process, with what
// counts its tokens. closeAll closes it; it is there whatever the error is.
func (b *batchFlags) open(ctx context.Context,
	stderr io.Writer) (scorer batch.Scorer, count *tally, closeAll func() error, err error) {
	if b.url != "" {
		remote := batch.NewRemote(b.url, b.key, b.options.Concurrency, b.timeout)
		closeAll = func() error { remote.CloseIdle(); return nil }
		return &batch.Patient{Scorer: remote, Tries: b.tries, Pause: time.Second}, nil, closeAll, nil
	}
	options := b.config.options(stderr)
	options.MaxHeld, options.BodyTimeout, options.RequestTimeout, options.MaxClientRequests,
		options.CORSOrigins = 0, 0, 0, 0, ""
	options.Access = slog.New(slog.DiscardHandler)
	options.Log.Info("starting", b.shown()...)
	start, err := app.NewStart(options)
	if err != nil {
		return nil, nil, func() error { return nil }, err
	}
	count = &tally{}
	m, err := start.Load(ctx, nil, count)
	if err != nil {
		return nil, nil, start.Close, err
	}
	api, err := options.API(nil, nil)
	if err != nil {
		return nil, nil, start.Close, err
	}
	api.Serve(m)
	// What finds the queue full waits for what is in hand: a line that can never be
	// admitted gets 413.
	return &batch.Patient{Scorer: &inside{api: api, scorer: m.Scorer}, Tries: math.MaxInt,
		Pause: 50 * time.Millisecond}, count, start.Close, nil
}

// run is what answers depend on beside the input: a run that goes on must have the
// same.
func (b *batchFlags) run() string {
	o := b.options
	where := b.url
	if where == "" {
		names := flag.NewFlagSet("", flag.ContinueOnError)
		newConfig().modelFlags(names)
		names.VisitAll(func(f *flag.Flag) {
			where += " --" + f.Name + "=" +
				b.set.Lookup(f.Name).Value.String()
		})
		if template, err := b.OpenTemplate(); err == nil && template != nil { // it has been opened before
			where += " --template=" + template.Sum()
		}
		where += fmt.Sprintf(" --dtype=%s --allow-auto-truncate=%t", b.DType, b.AllowTruncate)
	}
	return fmt.Sprintf("%s; %s; %T; %+v", where, o.Endpoint, o.Format, o.Table)
}

// inside is a batch.Scorer over the server's handler in this process: every dialect,
// and the same bytes.
type inside struct {
	api    http.Handler
	scorer *score.Scorer
}

// Score implements batch.Scorer.
func (s *inside) Score(ctx context.Context, r *batch.Request) (*batch.Answer, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", batch.ErrStop, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", r.ID)
	answer := &answerWriter{header: http.Header{}}
	s.api.ServeHTTP(answer, request)
	if lost := s.scorer.Err(); lost != nil {
		return nil, fmt.Errorf("%w: %w", batch.ErrStop, &app.LostError{Cause: lost})
	}
	return batch.AnswerOf(answer.status, answer.header, answer.body.Bytes()), nil
}

// answerWriter keeps an answer in memory.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *answerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// WriteString spares io.WriteString a copy.
func (w *answerWriter) WriteString(s string) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.WriteString(s)
}
