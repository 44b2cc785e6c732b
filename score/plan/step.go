// Package plan decides which step a device runs next: which rows of which requests, on
// which prefixes, in which shape, and where the KV cache keeps each prefix. It computes
// values from values, and must not know of locks, goroutines, clocks or engines.
//
// Begin with Step, which an engine receives. Planner.Next forms it from Jobs. The Table
// tells it which prefixes the KV cache holds, and the Ladder has the prices.
package plan

import (
	"errors"
	"fmt"
	"time"
)

// PageTokens is how many tokens a page of the KV cache holds. Slot s is token
// s%PageTokens of page s/PageTokens.
const PageTokens = 128

// PagesFor returns how many pages hold tokens that begin at a page's start.
func PagesFor(tokens int) int { return (tokens + PageTokens - 1) / PageTokens }

// LabelsPerRow is how many labels of a row, on average over a step's rows, an engine
// reads in one pass of its output head. A row with more labels counts as several rows,
// in a step and in the queue.
const LabelsPerRow = 16

// Errors that an engine wraps where the Scorer must act on them.
var (
	// ErrMemory means that the device had no memory for the step. A smaller step may
	// work.
	ErrMemory = errors.New("device is out of memory")
	// ErrCache means that the KV cache was lost with the step, so every page is empty.
	// The next step may work.
	ErrCache = errors.New("kv cache is lost")
	// ErrLost means that the device will never work again in this process.
	ErrLost = errors.New("device is lost")
)

// Bucket is a step shape: every array of a step is padded to it, so that one executable
// serves many steps.
type Bucket struct {
	Tokens  int `json:"tokens"`  // tokens computed: new ones of prefixes and own ones of rows
	Rows    int `json:"rows"`    // rows whose labels are read, counted as LabelPasses counts
	Length  int `json:"length"`  // tokens of one row's own part
	Context int `json:"context"` // tokens of all the step's prefixes; 0: rows without a prefix only
	// Cost is the predicted duration of a step of this shape, full or not, without the
	// time that Key and Pair add. JSON has it in nanoseconds.
	Cost time.Duration `json:"cost"`
	// Key is the time in nanoseconds that each token of the step's prefixes adds, where
	// attention reads only the context that is there. Pair is the time that each pair of
	// a token and a key of the context adds, where a token attends only to the keys it
	// sees. Both are 0 where a step always attends to all of Context.
	Key  float64 `json:"key,omitempty"`
	Pair float64 `json:"pair,omitempty"`
}

// Pending is a step that is queued on a device.
type Pending interface {
	// Wait returns when the device has nothing left to do for the step. The result has,
	// for each row of the step, one number for each label of the row, those of Inner
	// first. The number is the label's natural log-probability over the whole
	// vocabulary; for a Relative row, that plus a constant that is the same for all
	// labels of the place.
	//
	// Wait must be called once. After an error the slots that the step was to write
	// hold nothing.
	Wait() ([][]float32, error)
}

// Step is the work that a device runs at once: new tokens of prefixes, and rows that
// each continue a prefix or stand alone.
//
// A step's context is its prefixes, one after the other. A new token of a prefix
// attends to the prefix up to and including itself. A token of a row attends to the
// first Shared tokens of its row's prefix, and to the tokens of its own row up to and
// including itself.
type Step struct {
	Bucket   Bucket
	Prefixes []Prefix // together at most Bucket.Context tokens
	Rows     []Row
}

// Prefix is a run of tokens, from position 0 on, whose keys and values are in the KV
// cache after the step.
type Prefix struct {
	// Slots are the slots of the KV cache, one for each token of the prefix, in order.
	// A slot may be in several prefixes of a step, because prefixes that begin alike
	// share slots.
	Slots []int32
	// New are the ids of the prefix's last tokens: those that the step computes and
	// writes to the last of Slots. The tokens before them were written by earlier
	// steps, or are New in an earlier prefix of this step.
	New []int32
}

// Row is one prompt of one request.
type Row struct {
	Tokens   []int32 // the whole prompt
	Prefix   int     // index of the row's prefix in the step; ignored if Shared is 0
	Shared   int     // leading tokens read from the prefix, fewer than len(Tokens); 0: none
	Labels   []int32 // token ids to read behind the last token
	Inner    []Read  // earlier places that are read, too, in the order of their tokens
	Relative bool    // only differences between the log-probabilities of a place's labels matter
}

// Read is a place inside a row at which labels are read: one of the row's own tokens,
// and not the last.
type Read struct {
	Back   int     // how many tokens of the row follow the place: 1 or more
	Labels []int32 // token ids to read behind the place
}

// Own returns the part of the row that its step computes for it alone. It shares memory
// with Tokens.
func (r *Row) Own() []int32 { return r.Tokens[r.Shared:] }

// first returns the index of the first token of the row that is read. The tokens before
// it may belong to a prefix; it must be the row's own.
func (r *Row) first() int {
	if len(r.Inner) > 0 {
		return len(r.Tokens) - 1 - r.Inner[0].Back
	}
	return len(r.Tokens) - 1
}

// Numbers returns how many numbers the row's answer has.
func (r *Row) Numbers() int {
	n := len(r.Labels)
	for i := range r.Inner {
		n += len(r.Inner[i].Labels)
	}
	return n
}

// passes returns how many rows of a bucket the row counts as: see LabelPasses.
func (r *Row) passes() int {
	n := LabelPasses(len(r.Labels))
	for i := range r.Inner {
		n += LabelPasses(len(r.Inner[i].Labels))
	}
	return n
}

// Computed returns how many tokens the step computes.
func (s *Step) Computed() (n int) {
	for i := range s.Prefixes {
		n += len(s.Prefixes[i].New)
	}
	for i := range s.Rows {
		n += len(s.Rows[i].Own())
	}
	return n
}

// Cost returns the predicted duration of the step.
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

// cost returns the predicted duration in nanoseconds of a step with keys tokens of
// context, and pairs pairs of a token and a key of the context that it attends to.
func (b Bucket) cost(keys int, pairs float64) float64 {
	return float64(b.Cost) + b.Key*float64(keys) + b.Pair*pairs
}

// Check returns an error if the step cannot run in its bucket, on a KV cache with this
// number of pages. Running it all the same would corrupt other rows or the cache. An
// engine must call it before it runs a step. A row that counts as several may exceed
// Bucket.Rows.
func (s *Step) Check(pages int) error {
	b := s.Bucket
	context := 0
	for i, p := range s.Prefixes {
		context += len(p.Slots)
		if len(p.Slots) == 0 || len(p.New) > len(p.Slots) {
			return fmt.Errorf("prefix %d of the step has %d slots and %d new tokens", i,
				len(p.Slots), len(p.New))
		}
		for _, slot := range p.Slots {
			if slot < 0 || int(slot) >= pages*PageTokens {
				return fmt.Errorf("prefix %d of the step has slot %d, the cache has %d", i, slot,
					pages*PageTokens)
			}
		}
	}
	if tokens := s.Computed(); context > b.Context || tokens > b.Tokens || len(s.Rows) > b.Rows {
		return fmt.Errorf("step of %d tokens, %d rows and %d tokens of context does not fit "+
			"bucket %+v", tokens, len(s.Rows), context, b)
	}
	for i := range s.Rows {
		row := &s.Rows[i]
		held := 0
		if row.Shared > 0 && row.Prefix >= 0 && row.Prefix < len(s.Prefixes) {
			held = len(s.Prefixes[row.Prefix].Slots)
		}
		if own := len(row.Tokens) - row.Shared; own < 1 || own > b.Length || row.Shared < 0 ||
			row.Shared > held {
			return fmt.Errorf("row %d of the step (%d own tokens, %d shared) does not fit its "+
				"prefix of %d or bucket %+v", i, own, row.Shared, held, b)
		}
		for _, read := range row.Inner {
			if read.Back < 1 || read.Back >= len(row.Tokens)-row.Shared {
				return fmt.Errorf("row %d of the step is read at a place %d tokens before its "+
					"last, and has %d own tokens", i, read.Back, len(row.Tokens)-row.Shared)
			}
		}
	}
	return nil
}
