package app

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"scored/internal/every"
	"scored/model"
)

// progressEvery is the time between the lines that say what a start is doing.
const progressEvery = 5 * time.Second

// progress tells the log what a start is doing: a line when a part of it begins, and
// one at each interval while it lasts. Whoever waits for a start can so tell one that is
// slow from one that hangs. close ends its goroutine.
type progress struct {
	log   *slog.Logger
	began time.Time

	mu    sync.Mutex
	phase string        // what all of it is: "starting", or what a command does with it
	doing func() string // nil: nothing that takes long

	stop func() // ends the goroutine that calls tell
}

// newProgress begins to log at intervals. The caller must call close.
func newProgress(log *slog.Logger, interval time.Duration) *progress {
	p := &progress{log: log, began: time.Now(), phase: "starting"}
	p.stop = every.Do(interval, p.tell)
	return p
}

// begin logs what begins now. Later lines say what doing returns; it is called on
// another goroutine.
func (p *progress) begin(what string, doing func() string) {
	p.log.Info(what)
	p.set(doing)
}

// set replaces what the next line says.
func (p *progress) set(doing func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = doing
}

// enter logs that another phase begins, and what doing returns. Later lines say so too.
func (p *progress) enter(phase string, doing func() string) {
	p.mu.Lock()
	p.phase, p.doing = phase, doing
	p.mu.Unlock()
	p.tell()
}

// tell logs what is being done now, if it takes long. doing is called without p.mu, as it
// may take locks of its own.
func (p *progress) tell() {
	p.mu.Lock()
	phase, doing := p.phase, p.doing
	p.mu.Unlock()
	if doing != nil {
		p.log.Info(phase+": "+doing(), "elapsed", time.Since(p.began).Round(time.Second))
	}
}

// close ends the lines. It may be called again.
func (p *progress) close() error {
	p.stop()
	return nil
}

// engine returns what model.New reports to, for one of several replicas, counted from 0.
// generated says that weights are made up and not read.
func (p *progress) engine(generated bool, replica,
	replicas int) func(stage model.Stage, done, total int64) {
	verb, where := "read", ""
	if generated {
		verb = "generated"
	}
	if replicas > 1 {
		where = fmt.Sprintf(" for device %d of %d", replica+1, replicas)
	}
	var last model.Stage
	return func(stage model.Stage, done, total int64) {
		p.set(func() string {
			if stage == model.StageWeights {
				return fmt.Sprintf("%s %.1f of %.1f GB of weights%s", verb, float64(done)/1e9,
					float64(total)/1e9, where)
			}
			return fmt.Sprintf("compiled %d of %d programs%s", done, total, where)
		})
		if stage != last { // so that a short stage gets a line, too
			p.tell()
		}
		last = stage
	}
}
