package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// windowsInHand is how many windows are sent at a time. The next one begins while the
// last lines of the one before are scored, so that the device does not run out of work.
// A third is read meanwhile. So three windows bound the memory of a run.
const windowsInHand = 2

// runFile scores one file, or counts the failed lines of its output if an earlier run has
// completed it, which done reports. failed is how many lines of the file have no scores,
// those of an earlier run included. After an error the output is left to be resumed. The
// error begins with the input's name.
func runFile(
	ctx context.Context, o Options, scorer Scorer, job Job, p *progress,
) (done bool, failed int64, err error) {
	if o.Resume && job.finished() {
		failed, err = countFailed(job.Out, o.Format)
		p.count.failed.Store(failed)
		return true, failed, err
	}
	out, err := openOutput(job.Out, o)
	if err != nil {
		return false, 0, err
	}
	f := &file{o: o, scorer: scorer, job: job, out: out, count: p.count}
	f.count.failed.Store(out.at.Failed)
	var in reader
	if in, err = openReader(job.In, o); err == nil {
		err = errors.Join(f.run(ctx, in), in.close())
	}
	if err == nil {
		err = out.finish()
	} else {
		err = errors.Join(err, out.suspend())
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", job.In, err)
	}
	return false, f.count.failed.Load(), err
}

// file is the work on one input. Its goroutines share it: place is for the one that
// reads, out for the one that writes, but for out.done and out.at, which never change
// while it runs.
type file struct {
	o      Options
	scorer Scorer
	job    Job
	out    *output
	count  *counters
	place  float64 // of the record that was read last
}

// result is a record on its way from send to write, through work, which sets its line of
// output.
type result struct {
	*record
	text   []byte // the line
	failed bool   // it has no scores
	old    bool   // an earlier run has scored it
	window *window
}

// run reads, sends, scores and writes in parallel:
//
//	read -windows-> send -work-> Concurrency workers -results-> write
//
// The first error ends all. It returns when all goroutines have ended.
func (f *file) run(ctx context.Context, in reader) error {
	all, ctx := errgroup.WithContext(ctx)
	windows, work, results := make(chan *window), make(chan *result), make(chan *result)
	slots := make(chan struct{}, windowsInHand)
	items := semaphore.NewWeighted(int64(f.o.Items))
	all.Go(func() error {
		defer close(windows)
		return f.read(ctx, in, windows)
	})
	all.Go(func() error {
		defer close(work)
		return f.send(ctx, windows, work, slots, items)
	})
	var workers sync.WaitGroup
	for range f.o.Concurrency {
		workers.Add(1)
		all.Go(func() error {
			defer workers.Done()
			return f.work(ctx, work, results, items)
		})
	}
	all.Go(func() error { return f.write(ctx, results, slots) })
	workers.Wait()
	close(results)
	return all.Wait()
}

// read skips the records that an earlier run has written, and passes the rest on in
// windows.
func (f *file) read(ctx context.Context, in reader, to chan<- *window) error {
	if err := f.skip(in); err != nil {
		return err
	}
	for {
		w, err := readWindow(func() (*record, error) { return f.next(in) }, f.o.Window, f.o.WindowBytes)
		if w == nil || err != nil {
			return err
		}
		select {
		case to <- w:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next reads a record and sets its share of the file. Where the file's size is not known,
// shares are NaN, as places are.
func (f *file) next(in reader) (*record, error) {
	r, err := in.next()
	if err == nil {
		r.share, f.place = r.place-f.place, r.place
	}
	return r, err
}

// skip reads the records that are written already. They must be the same as in the
// earlier run, by the hash of them all: an output of two inputs would be worse than none.
func (f *file) skip(in reader) error {
	at := f.out.at
	var chain uint64
	for range at.Records {
		r, err := f.next(in)
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF {
			return f.changed("it has fewer lines than have been scored")
		}
		chain = link(chain, r.sum)
		f.count.share(r.share)
	}
	if chain != at.Chain {
		return f.changed(fmt.Sprintf("its first %d lines are others than those that have been "+
			"scored", at.Records))
	}
	return nil
}

// changed returns the error of an input that is not the earlier run's.
func (f *file) changed(how string) error {
	return fmt.Errorf("input has changed since the run that is to go on: %s; restore it, or "+
		"remove %s and %s to begin again",
		how, f.out.partPath(), f.out.journalPath())
}

// link extends a hash of records by the next record's sum, as FNV-1a does by a byte, with
// its prime. The hash depends on the order.
func link(chain, sum uint64) uint64 { return (chain ^ sum) * 0x100000001b3 }

// send gives the records to the workers, in the order of their windows, with at most
// Options.Items items in hand: more would only wait in the scorer's queue. It returns
// when from is closed.
func (f *file) send(ctx context.Context, from <-chan *window, work chan<- *result,
	slots chan<- struct{}, items *semaphore.Weighted) error {
	for w := range from {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for i, r := range w.order {
			w.order[i] = nil // so that its body can be freed once it is answered
			if err := items.Acquire(ctx, f.weight(r)); err != nil {
				return context.Cause(ctx)
			}
			select {
			case work <- &result{record: r, window: w}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// weight returns how much of Options.Items a record takes: its items, or all where it has
// more, so that it is scored alone.
func (f *file) weight(r *record) int64 { return int64(min(r.items, f.o.Items)) }

// work scores records, one at a time, until work is closed.
func (f *file) work(ctx context.Context, work <-chan *result, results chan<- *result,
	items *semaphore.Weighted) error {
	for r := range work {
		weight := f.weight(r.record)
		err := f.score(ctx, r)
		items.Release(weight)
		if err != nil {
			return err
		}
		select {
		case results <- r:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// score sets the record's line of output. It takes an earlier run's line from the journal
// if there is one. It then drops the body, which is the most of a record's memory: many
// results may wait for one before them.
func (f *file) score(ctx context.Context, r *result) error {
	if old, ok := f.out.done[r.n]; ok {
		if old.Sum != r.sum {
			return f.changed(fmt.Sprintf("line %d is another than the one that has been scored", r.line))
		}
		r.text, r.failed, r.old = []byte(old.Text), old.Failed, true
		return nil
	}
	var answer *Answer
	if r.fault == nil {
		var err error
		if answer, err = f.scorer.Score(ctx,
			&Request{ID: r.requestID(), Method: r.method, Path: r.path, Body: r.body}); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
	r.text, r.failed = f.o.Format.line(f.job.In, r.record, answer)
	r.body, r.query = nil, nil
	return nil
}

// countFailed counts the lines without scores in a finished output, which may be
// compressed.
func countFailed(path string, format Format) (int64, error) {
	s, err := openSource(path, os.Stdin)
	if err != nil {
		return 0, err
	}
	n, err := format.failed(s)
	return n, errors.Join(err, s.close())
}
