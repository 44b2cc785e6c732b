package batch

import (
	"context"
	"errors"
	"time"
)

// flushEvery is how long a result may be only in memory, and so how much work a killed
// process loses.
const flushEvery = 200 * time.Millisecond

// write writes the results in the order of the records, until results is closed. For each
// window that has been written in full it takes a token from slots, so that send may go
// on. When ctx ends it still flushes what is in the journal.
func (f *file) write(ctx context.Context, results <-chan *result, slots <-chan struct{}) error {
	w := &writer{file: f, next: f.out.at.Records, chain: f.out.at.Chain, failed: f.out.at.Failed,
		waiting: map[int64]*result{}}
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case r, ok := <-results:
			if !ok {
				if ctx.Err() != nil {
					return errors.Join(context.Cause(ctx), f.out.flush())
				}
				return nil
			}
			ended, err := w.take(r)
			if err != nil {
				return err
			}
			for range ended {
				<-slots
			}
		case <-ticker.C:
			if err := f.out.flush(); err != nil {
				return err
			}
		}
	}
}

// writer holds the results that are ahead of the output: those that came before one that
// goes before them. It is write's, and for its goroutine alone.
type writer struct {
	*file
	next    int64  // index of the next record to write
	chain   uint64 // hash of the records before it, see link
	failed  int64  // records before it without scores
	waiting map[int64]*result
}

// take puts the result into the journal, and writes all results that now follow the
// output without a gap. It returns how many windows end with them. At the end of a window
// the output is made durable and the journal shortened: more often would cost a sync of
// the disk each time, and less often a longer journal.
func (w *writer) take(r *result) (ended int, err error) {
	if !r.old {
		if err := w.out.keep(r); err != nil {
			return 0, err
		}
	}
	w.tally(r)
	w.waiting[r.n] = r
	for {
		r := w.waiting[w.next]
		if r == nil {
			return ended, nil
		}
		delete(w.waiting, w.next)
		if err := w.out.write(r.text); err != nil {
			return ended, err
		}
		if r.failed {
			w.failed++
		}
		w.chain = link(w.chain, r.sum)
		if w.next++; w.next == r.window.first+r.window.size {
			ended++
			if err := w.out.commit(state{Records: w.next, Failed: w.failed, Chain: w.chain},
				w.waiting); err != nil {
				return ended, err
			}
		}
	}
}

// tally adds a result to the progress.
func (w *writer) tally(r *result) {
	if r.failed {
		w.count.failed.Add(1)
	}
	if !r.old {
		w.count.lines.Add(1)
	}
	if !r.old && !r.failed {
		w.count.items.Add(int64(r.items))
	}
	w.count.share(r.share)
}
