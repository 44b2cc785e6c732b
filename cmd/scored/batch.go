package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"scored/app"
	"scored/batch"
	"scored/score"
	"scored/server"
)

// exitUnscored is the exit status of a run that has ended, and whose output has lines
// without scores. docs/batch.md documents it, and the Job of deploy/kubernetes/batch
// goes by it.
const exitUnscored = 3

// errUnscored makes run end with exitUnscored.
var errUnscored = errors.New("lines without scores")

// batchCommand scores files. What can be known to be wrong without a model is found
// before one is loaded.
func batchCommand(ctx context.Context, args []string, env lookup, stderr io.Writer) error {
	b, err := parseBatch(args, env, stderr)
	if err != nil {
		return err
	}
	jobs, err := batch.Jobs(b.in, b.out, b.options.Format, b.shard)
	if err != nil {
		return asUsage(err)
	}
	if len(jobs) == 0 {
		fmt.Fprintf(stderr, "scored: part %d of %d has no files\n", b.shard.Index, b.shard.Of)
		return nil
	}
	b.options.Paths = server.Paths()
	if err := batch.Check(b.options, jobs); err != nil {
		return asUsage(err)
	}
	scorer, tally, end, err := b.open(ctx, stderr)
	if err != nil {
		return end(err)
	}
	display := newDisplay(stderr, b.quiet, len(jobs), tally)
	b.options.Tell, b.options.TellEvery = display.tell, display.every
	b.options.Run = b.run()
	sum, err := batch.Run(ctx, b.options, scorer, jobs)
	display.end(sum)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("stopped; what has been scored is kept, go on with --resume")
	}
	if err = end(err); err == nil && sum.Failed > 0 {
		return fmt.Errorf("%w: %d; the output tells why", errUnscored, sum.Failed)
	}
	return err
}

// asUsage makes batch's UsageErrors those of the app, which run knows.
func asUsage(err error) error {
	if wrong := (*batch.UsageError)(nil); errors.As(err, &wrong) {
		return app.UsageError{Err: err}
	}
	return err
}

// open returns the Scorer: a server's, or that of a model in this process with the count
// of its tokens. end must be called with the error that the work ended with, or nil, also
// where open fails. It closes what was opened, and returns the command's error.
func (b *batchFlags) open(ctx context.Context, stderr io.Writer) (scorer batch.Scorer,
	count *tally, end func(error) error, err error) {
	if b.url != "" {
		remote := batch.NewRemote(b.url, b.key, b.options.Concurrency, b.timeout)
		end = func(err error) error { remote.CloseIdle(); return err }
		return &batch.Patient{Scorer: remote, Tries: b.tries, Pause: time.Second}, nil, end, nil
	}
	b.logger(stderr, "").Info("starting", b.shown()...)
	checked := b.checked.WithoutClients()
	start := app.NewStart(checked)
	count = &tally{}
	m, err := start.Load(ctx, nil, count)
	if err != nil {
		return nil, nil, start.End, err
	}
	api := checked.API(nil, nil)
	api.Serve(m)
	// A line that finds the queue full waits until there is room: one that can never be
	// admitted gets 413.
	return &batch.Patient{Scorer: &handlerScorer{api: api, scorer: m.Scorer}, Tries: math.MaxInt,
		Pause: 50 * time.Millisecond}, count, start.End, nil
}

// run returns what answers depend on beside the input, for the journal: a run that goes
// on must have the same.
func (b *batchFlags) run() string {
	o := b.options
	where := b.url
	if where == "" {
		names := flag.NewFlagSet("", flag.ContinueOnError)
		newConfig().modelFlags(names)
		names.VisitAll(func(f *flag.Flag) {
			where += " --" + f.Name + "=" + b.set.Lookup(f.Name).Value.String()
		})
		if template := b.checked.Template(); template != nil {
			where += " --template=" + template.Sum()
		}
		where += fmt.Sprintf(" --dtype=%s --allow-auto-truncate=%t", b.DType, b.AllowTruncate)
	}
	return fmt.Sprintf("%s; %s; %T; %+v", where, o.Endpoint, o.Format, o.Table)
}

// handlerScorer is a batch.Scorer over the server's handler in this process. So batch
// knows every dialect, and writes the same bytes as the server.
type handlerScorer struct {
	api    http.Handler
	scorer *score.Scorer
}

// Score implements batch.Scorer. Once the device is lost its error is a LostError, after
// which no line is answered.
func (s *handlerScorer) Score(ctx context.Context, r *batch.Request) (*batch.Answer, error) {
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

// answerWriter is an http.ResponseWriter that keeps the answer in memory.
type answerWriter struct {
	header http.Header
	status int // 0 until it is written
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *answerWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. The first status counts, as over HTTP.
func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// WriteString implements io.StringWriter, which spares io.WriteString a copy.
func (w *answerWriter) WriteString(s string) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.WriteString(s)
}
