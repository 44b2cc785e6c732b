// Package plan decides what a device runs next: which rows of which requests, on which prefixes, in which shape, and where
// the KV cache keeps what. It is pure: values in, values out. It must not know of locks, goroutines, clocks or engines.
//
// Step is where to begin: it is what everything here leads to, and what an engine gets.
package plan

import (
	"errors"
	"fmt"
	"time"
)

// PageTokens is how many tokens a page of the KV cache holds. Slot s is token s%PageTokens of page s/PageTokens.
const PageTokens = 128

// PagesFor is how many pages so many tokens take from a page's start on.
func PagesFor(tokens int) int { return (tokens + PageTokens - 1) / PageTokens }

// LabelsPerRow is how many labels of a row, on average over a step's rows, an engine reads in one pass of its output head.
// A row with more counts in a step, and in the queue, as several.
const LabelsPerRow = 16

// What an engine's errors wrap, where the Scorer must know.
var (
	// ErrMemory: the device had no room for the step; a smaller one may work.
	ErrMemory = errors.New("device is out of memory")
	// ErrCache: the KV cache was lost with the step, and no page holds anything any more. The next step may work.
	ErrCache = errors.New("kv cache is lost")
	// ErrLost: the device will never work again in this process.
	ErrLost = errors.New("device is lost")
)

// Bucket is a step shape: every array of a step is padded to it, so that one executable serves many steps.
type Bucket struct {
	Tokens  int `json:"tokens"`  // packed tokens, new ones of prefixes and those of rows together
	Rows    int `json:"rows"`    // rows whose labels are read; one that is read at several places counts as several
	Length  int `json:"length"`  // tokens of one row's own part
	Context int `json:"context"` // tokens of all the step's prefixes; 0: rows that stand alone only
	// Cost is the predicted duration of a step of this shape, full or not, less what follows. It counts in nanoseconds in
	// JSON, as all costs here.
	Cost time.Duration `json:"cost"`
	// Key is what each token of the step's prefixes adds, where all the step's tokens attend to as much of the context as
	// there is; Pair what each pair of a token and a key of the context adds, where a token attends to what it sees. Both
	// are 0 where a step attends to all of Context, whether there or not.
	Key  float64 `json:"key,omitempty"`
	Pair float64 `json:"pair,omitempty"`
}

// Pending is a step that is queued on a device.
type Pending interface {
	// Wait returns when the device has nothing left to do for the step. It gives, for each of the step's rows, one number
	// per label of the row, those of Inner first: its natural-log probability over the whole vocabulary or, for a row that
	// is Relative, that plus a constant of the place's own. It is called once. After an error the slots that the step wrote
	// hold nothing.
	Wait() ([][]float32, error)
}

// Step is what a device runs at once: new tokens of prefixes, and rows that each hang on a prefix or stand alone.
//
// A step's context is its prefixes, one after the other. A new token of a prefix sees the prefix up to and including
// itself. A token of a row sees the first Shared tokens of its row's prefix, and of its own row the tokens up to itself.
type Step struct {
	Bucket   Bucket
	Prefixes []Prefix // together at most Bucket.Context tokens
	Rows     []Row
}

// Prefix is a run of tokens, from position 0 on, whose keys and values the KV cache holds after the step.
type Prefix struct {
	// Slots of the KV cache, one for each token of the prefix, in order. A slot may stand in several prefixes of a step,
	// as prefixes that begin alike share what they have in common.
	Slots []int32
	// New are the ids of the prefix's last tokens, those that the step computes and writes to the last of Slots. The
	// tokens before them were written by earlier steps, or are New in an earlier prefix of this step.
	New []int32
}

// Row is one prompt of one request.
type Row struct {
	Tokens   []int32 // the whole prompt
	Prefix   int     // the row's prefix among the step's; means nothing with Shared == 0
	Shared   int     // how many leading tokens are those of the prefix; 0: the row stands alone. Less than len(Tokens)
	Labels   []int32 // what is read behind the last token
	Inner    []Read  // the places before it that are read, too, from the first to the last
	Relative bool    // only differences between the log-probabilities of a place's labels matter
}

// Read is a place inside a row at which labels are read: one of the row's own tokens, and not the last.
type Read struct {
	Back   int     // how many of the row's tokens follow the place: 1 or more
	Labels []int32 // any of which may be the token behind the place
}

// Own is the part of the row that its step computes for it alone.
func (r *Row) Own() []int32 { return r.Tokens[r.Shared:] }

// first is the first place of the row that is read: its tokens up to there may be those of a prefix, it itself may not.
func (r *Row) first() int {
	if len(r.Inner) > 0 {
		return len(r.Tokens) - 1 - r.Inner[0].Back
	}
	return len(r.Tokens) - 1
}

// Numbers is how many numbers the row's answer has.
func (r *Row) Numbers() int {
	n := len(r.Labels)
	for i := range r.Inner {
		n += len(r.Inner[i].Labels)
	}
	return n
}

// passes is how many rows' room the row takes: see LabelPasses.
func (r *Row) passes() int {
	n := LabelPasses(len(r.Labels))
	for i := range r.Inner {
		n += LabelPasses(len(r.Inner[i].Labels))
	}
	return n
}

// Computed counts the tokens that the step computes.
func (s *Step) Computed() (n int) {
	for i := range s.Prefixes {
		n += len(s.Prefixes[i].New)
	}
	for i := range s.Rows {
		n += len(s.Rows[i].Own())
	}
	return n
}

// Cost is what the step is predicted to take.
func (s *Step) Cost() time.Duration {
	keys, pairs := 0, 0
	for i := range s.Prefixes {
		n, fresh := len(s.Prefixes[i].Slots), len(s.Prefixes[i].New)
		keys += n
		pairs += fresh*(n-fresh) + fresh*(fresh+1)/2
	}
	for i := range s.Rows {
		pairs += len(s.Rows[i].Own()) * s.Rows[i].Shared
	}
	return time.Duration(s.Bucket.cost(keys, float64(pairs)))
}

// cost is what a step takes with so many tokens of context, and pairs of a token and a key of it that it sees.
func (b Bucket) cost(keys int, pairs float64) float64 {
	return float64(b.Cost) + b.Key*float64(keys) + b.Pair*pairs
}

// Check tells why the step cannot run in its bucket, on a KV cache of so many pages; nil if it can. Running it all the same
// would corrupt other rows or the cache. A row of many labels or places takes the room of several, but one always has room.
func (s *Step) Check(pages int) error {
	b := s.Bucket
	context := 0
	for i, p := range s.Prefixes {
		context += len(p.Slots)
		if len(p.Slots) == 0 || len(p.New) > len(p.Slots) {
			return fmt.Errorf("prefix %d of the step has %d slots and %d new tokens", i, len(p.Slots), len(p.New))
		}
		for _, slot := range p.Slots {
			if slot < 0 || int(slot) >= pages*PageTokens {
				return fmt.Errorf("prefix %d of the step has slot %d, the cache has %d", i, slot, pages*PageTokens)
			}
		}
	}
	if tokens := s.Computed(); context > b.Context || tokens > b.Tokens || len(s.Rows) > b.Rows {
		return fmt.Errorf("step of %d tokens, %d rows and %d tokens of context does not fit bucket %+v", tokens, len(s.Rows), context, b)
	}
	for i := range s.Rows {
		row := &s.Rows[i]
		held := 0
		if row.Shared > 0 && row.Prefix >= 0 && row.Prefix < len(s.Prefixes) {
			held = len(s.Prefixes[row.Prefix].Slots)
		}
		if own := len(row.Tokens) - row.Shared; own < 1 || own > b.Length || row.Shared < 0 || row.Shared > held {
			return fmt.Errorf("row %d of the step (%d own tokens, %d shared) does not fit its prefix of %d or bucket %+v", i, own, row.Shared, held, b)
		}
		for _, read := range row.Inner {
			if read.Back < 1 || read.Back >= len(row.Tokens)-row.Shared {
				return fmt.Errorf("row %d of the step is read at a place %d tokens before its last, and has %d own tokens", i, read.Back, len(row.Tokens)-row.Shared)
			}
		}
	}
	return nil
}
