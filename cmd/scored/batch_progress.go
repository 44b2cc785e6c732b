package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"scored/batch"
	"scored/score"
)

// tally counts the steps of a model in this process and their tokens. It implements
// score.Observer, and may be read meanwhile.
type tally struct {
	computed, padding, cached, steps atomic.Int64
}

// Observe implements score.Observer. What a step computes is known by the step, what was
// in the cache by the request. A failed step is run again, and counts then.
func (t *tally) Observe(span score.Span) {
	switch {
	case span.Stage == score.StageStep && span.Err == nil:
		t.steps.Add(1)
		t.computed.Add(int64(span.Tokens))
		t.padding.Add(int64(span.Bucket.Tokens - span.Tokens))
	case span.Stage == score.StageRun && span.Err == nil:
		t.cached.Add(int64(max(span.Cached, 0)))
	}
}

// display shows how far a batch is: on a terminal one line that changes, else a line at
// intervals. Its methods must not be called at the same time; batch.Run does not.
type display struct {
	out      io.Writer
	terminal bool          // out is one
	quiet    bool          // nothing is shown
	files    int           // of the run
	every    time.Duration // between two calls of tell
	tokens   *tally        // nil: a server counts them
	done     int           // files
	width    int           // bytes of the line on the terminal
}

// newDisplay returns a display of a run of so many files.
func newDisplay(out io.Writer, quiet bool, files int, tokens *tally) *display {
	d := &display{out: out, quiet: quiet, files: files, every: 10 * time.Second, tokens: tokens}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		d.terminal, d.every = true, time.Second
	}
	return d
}

// tell shows the counts. Without a terminal the end of each file is a line, but for
// the last: end says more there.
func (d *display) tell(c batch.Counts) {
	if c.Done {
		d.done++
	}
	if d.quiet || c.Done && (d.terminal || d.done == d.files) {
		return
	}
	d.show(d.line(c))
}

// show shows a line. On a terminal it replaces the one before, which may have been
// longer.
func (d *display) show(line string) {
	if !d.terminal {
		fmt.Fprintln(d.out, line)
		return
	}
	fmt.Fprintf(d.out, "\r%s%s", line, strings.Repeat(" ", max(0, d.width-len(line))))
	d.width = len(line)
}

// line returns the line of the counts, with the file's number if there are several.
func (d *display) line(c batch.Counts) string {
	if d.files > 1 {
		return fmt.Sprintf("file %d of %d, %s", min(d.done+1, d.files), d.files, d.counts(c))
	}
	return d.counts(c)
}

// counts says how many lines there are, the rates since the run began, how many of the
// steps' tokens are padding, and, where the inputs' sizes are known, how much is done and
// the time left.
func (d *display) counts(c batch.Counts) string {
	var b strings.Builder
	seconds := max(c.Took.Seconds(), 1e-3)
	fmt.Fprintf(&b, "%d lines", c.Lines)
	if c.Failed > 0 {
		fmt.Fprintf(&b, " (%d without scores)", c.Failed)
	}
	fmt.Fprintf(&b, ", %.1f items/s", float64(c.Items)/seconds)
	if d.tokens != nil {
		computed, padding := float64(d.tokens.computed.Load()), float64(d.tokens.padding.Load())
		fmt.Fprintf(&b, ", %.0f tokens/s computed, padding %.0f %%", computed/seconds, 100*padding/max(1,
			computed+padding))
	}
	if c.Share >= 0 {
		fmt.Fprintf(&b, ", %.1f %% done", 100*c.Share)
		if left := c.Left(); left > 0 {
			fmt.Fprintf(&b, ", %s left", left.Round(time.Second))
		}
	}
	return b.String()
}

// end says how much the run has done, also where an error has ended it.
func (d *display) end(sum batch.Summary) {
	if d.quiet {
		return
	}
	if d.terminal && d.width > 0 {
		fmt.Fprint(d.out, "\r", strings.Repeat(" ", d.width), "\r")
	}
	sum.Last.Failed = sum.Failed
	fmt.Fprintf(d.out, "scored %s in %s", d.counts(sum.Last),
		sum.Last.Took.Round(100*time.Millisecond))
	if d.tokens != nil {
		fmt.Fprintf(d.out, "; %d steps, %d tokens computed, %d not computed as they were shared",
			d.tokens.steps.Load(), d.tokens.computed.Load(), d.tokens.cached.Load())
	}
	if sum.Skipped > 0 {
		fmt.Fprintf(d.out, "; %d of %d files were done before", sum.Skipped, sum.Files)
	}
	fmt.Fprintln(d.out)
}
