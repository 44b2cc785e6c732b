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
// one now and then while it lasts. Close ends it.
type progress struct {
	log   *slog.Logger
	began time.Time

	mu    sync.Mutex
	doing func() string // nil: nothing that takes long

	stop func()
}

// newProgress begins to log at intervals.
func newProgress(log *slog.Logger, interval time.Duration) *progress {
	p := &progress{log: log, began: time.Now()}
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

func (p *progress) tell() {
	p.mu.Lock()
	doing := p.doing
	p.mu.Unlock()
	if doing != nil {
		p.log.Info("starting: "+doing(), "elapsed", time.Since(p.began).Round(time.Second))
	}
}

// close ends the lines. It may be called again.
func (p *progress) close() error {
	p.stop()
	return nil
}

// engine gives what model.New reports to, for one of several replicas.
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
		if stage != last { // so that a short stage is told of, too
			p.tell()
		}
		last = stage
	}
}
