package wheel

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progressInterval is the time between the lines that a log gets.
const progressInterval = 5 * time.Second

// progress shows how far a download is: a bar on a terminal, lines at intervals
// elsewhere. One goroutine at a time may use it.
type progress struct {
	out   io.Writer
	label string
	total int64
	bar   *progressbar.ProgressBar // nil: lines
	last  time.Time                // of the last line
}

// newProgress returns the progress of a download of total bytes. It shows nothing if out
// is nil.
func newProgress(out io.Writer, label string, total int64) *progress {
	p := &progress{out: out, label: label, total: total, last: time.Now()}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription(label),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(20), progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }))
	}
	return p
}

// set shows that there are n bytes now.
func (p *progress) set(n int64) {
	switch {
	case p.out == nil:
	case p.bar != nil:
		_ = p.bar.Set64(min(n, p.total)) // a bar that cannot be drawn is no reason to stop
	case time.Since(p.last) >= progressInterval || n >= p.total:
		p.last = time.Now()
		fmt.Fprintf(p.out, "%s: %d of %d MB\n", p.label, n/1e6, p.total/1e6)
	}
}

// close leaves the terminal as it was. It must be called when the download has ended,
// well or not.
func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Exit()
	}
}
