package score

import "time"

// Ready returns nil if requests can be answered, otherwise an *Error of kind
// Unavailable that says why not.
func (s *Scorer) Ready() error {
	if err := s.queue.open(); err != nil {
		return err
	}
	for _, d := range s.queue.devices {
		if err := d.ready(); err != nil {
			return err
		}
	}
	return nil
}

// Alive returns nil as long as the process may recover by itself. An error means that
// the process must be ended: a device is lost, or has run one step for longer than
// Config.Watchdog.
func (s *Scorer) Alive() error {
	if err := s.Err(); err != nil {
		return err
	}
	for _, d := range s.queue.devices {
		if err := d.health.hangs(); err != nil {
			return err
		}
	}
	return nil
}

// Lost returns a channel that is closed when a device will never work again in this
// process. By then everything in hand has failed, and nothing more is admitted: the
// caller should end the process. Close may never return after that, because it waits
// for the device.
func (s *Scorer) Lost() <-chan struct{} { return s.queue.service.over }

// Err returns nil until Lost is closed, and then which device was lost and why.
func (s *Scorer) Err() error { return s.queue.lost() }

// Load is a snapshot of the work in hand.
type Load struct {
	Requests      int // requests with rows waiting or running
	WaitingRows   int
	WaitingTokens int
	RunningRows   int
	Backlog       []time.Duration // by device: predicted time until the work in hand is done
	Steps         int64           // steps begun since start
	MaxRows       int             // bound of admitted rows
	MaxTokens     int             // bound of admitted prompt tokens
}

// Load returns a snapshot of the work in hand.
func (s *Scorer) Load() Load { return s.queue.load() }

// Buckets lists the step shapes of the engines, the cheapest first.
func (s *Scorer) Buckets() []Bucket { return s.ladder.Buckets() }

// MaxLabels returns how many distinct labels a request may have.
func (s *Scorer) MaxLabels() int { return s.cfg.MaxLabels }

// MaxScores returns how many numbers an answer may hold, as Request.Numbers counts
// them.
func (s *Scorer) MaxScores() int { return s.cfg.MaxScores }

// Classes returns the model's classes. Names is empty if the model is no classifier.
func (s *Scorer) Classes() Classes { return s.cfg.Classes }
