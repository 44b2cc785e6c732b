package score

import (
	"context"
	"time"
)

// Config sets a Scorer up. Zero values mean the defaults named here.
type Config struct {
	Vocab         int           // token ids a prompt or label may use are 0..Vocab-1; required
	BaseVocab     int           // the vocabulary size shown in the peer's label error; 0 means Vocab
	ContextLength int           // a row must be shorter than this; required
	AllowTruncate bool          // the peer's --allow-auto-truncate: cut every too long row, for every request
	MaxQueue      int           // rows admitted at once; 0 means 65536
	MaxTokens     int           // tokens admitted at once; 0 means 16 Mi
	Encoders      int           // prompts tokenized in parallel; 0 means GOMAXPROCS
	Watchdog      time.Duration // a step that runs longer turns Ready red; 0 means 5 minutes
	Observer      Observer      // nil means none
}

// Scorer takes a request through check, encode, wait, run and finish. It owns the Engine and the one goroutine that
// calls it. Its methods are safe for concurrent use.
type Scorer struct {
	cfg     Config
	encoder Encoder
	engine  Engine
}

// New starts a Scorer over an Engine whose buckets are ready. encoder may be nil: then only token ids can be scored.
// Close ends it.
func New(cfg Config, encoder Encoder, engine Engine) (*Scorer, error) { return nil, nil }

// Score answers req, or returns an *Error. When ctx ends, rows not yet in a step are dropped and Score returns at once.
func (s *Scorer) Score(ctx context.Context, req *Request) (*Result, error) { return nil, nil }

// Ready is nil when requests can be answered, else an *Error of kind Unavailable that says why not.
func (s *Scorer) Ready() error { return nil }

// Flush drops the prefixes kept on the device and returns how many there were. With rows waiting or running it does
// nothing and returns an *Error of kind Unavailable.
func (s *Scorer) Flush(ctx context.Context) (int, error) { return 0, nil }

// Load is a snapshot of the work in hand.
func (s *Scorer) Load() Load { return Load{} }

// Drain refuses new requests from now on and waits until every admitted row is answered or ctx ends.
func (s *Scorer) Drain(ctx context.Context) error { return nil }

// Close refuses new requests, fails the rows still waiting, waits for the running step and returns.
func (s *Scorer) Close() {}

// Load is a snapshot of the work in hand.
type Load struct {
	WaitingRows, RunningRows int
	WaitingTokens            int
	Requests                 int // requests admitted and not yet answered
	Steps                    int64
}
