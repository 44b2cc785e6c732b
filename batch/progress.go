package batch

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"scored/internal/every"
)

// progress adds up the progress of all files and reports it from a goroutine, which
// ends with close. p.mu is held while tell is called, so that its calls come one at a
// time.
type progress struct {
	jobs  []Job
	total int64 // bytes of all inputs; 0 if one's size is not known
	began time.Time
	count *counters

	mu     sync.Mutex
	tell   func(Counts)
	at     int     // index of the current file
	before float64 // Counts.Before; below 0 until it is known

	stop func()
}

// counters are a run's, and may be read while it goes on. failed and done are those of
// the current file.
type counters struct {
	lines, items, failed atomic.Int64
	done                 atomic.Uint64 // math.Float64bits of the share of the file that is done
}

// share adds a record's share of the file. NaN, for a file of unknown size, makes the sum
// NaN, which nobody reads then.
func (c *counters) share(of float64) {
	for {
		old := c.done.Load()
		if c.done.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+of)) {
			return
		}
	}
}

// newProgress begins to report at intervals. The caller must call close.
func newProgress(o Options, jobs []Job) *progress {
	p := &progress{jobs: jobs, began: time.Now(), count: &counters{}, tell: o.Tell, before: -1}
	for _, job := range jobs {
		if job.size == 0 {
			p.total = 0
			break
		}
		p.total += job.size
	}
	if p.tell == nil {
		p.tell = func(Counts) {}
	}
	p.stop = every.Do(max(o.TellEvery, 10*time.Millisecond), func() { p.say(false) })
	return p
}

// file begins the i-th file.
func (p *progress) file(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = i
	p.count.failed.Store(0)
	p.count.done.Store(math.Float64bits(0))
}

// end reports that the file is done.
func (p *progress) end() {
	p.count.done.Store(math.Float64bits(1))
	p.say(true)
}

// say reports the progress.
func (p *progress) say(done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(p.counts(done))
}

// last returns the counts now.
func (p *progress) last() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts(false)
}

// counts returns the counts. p.mu must be held.
func (p *progress) counts(done bool) Counts {
	share := p.share()
	if p.before < 0 && (p.count.lines.Load() > 0 || done) {
		p.before = share
	}
	return Counts{Lines: p.count.lines.Load(), Items: p.count.items.Load(),
		Failed: p.count.failed.Load(), Share: share, Before: max(0, p.before),
		Took: time.Since(p.began), File: p.jobs[p.at].In, Done: done}
}

// share returns the share of all inputs that is done; below 0 if not known. p.mu must
// be held.
func (p *progress) share() float64 {
	if p.total == 0 {
		return -1
	}
	done := int64(0)
	for _, job := range p.jobs[:p.at] {
		done += job.size
	}
	place := math.Float64frombits(p.count.done.Load())
	return (float64(done) + place*float64(p.jobs[p.at].size)) / float64(p.total)
}

// close ends the reports.
func (p *progress) close() { p.stop() }
