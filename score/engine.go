package score

import (
	"errors"
	"time"
)

// Encoder turns one whole prompt into token ids. It is safe for concurrent use and returns the same ids every time.
type Encoder interface {
	// Encode tokenizes text, which is UTF-8. With plainSpecials, special-token text such as "<|im_end|>" is ordinary
	// text. An *Error says what is wrong with the text, without a field; any other error is the Encoder's own failure.
	Encode(text string, plainSpecials bool) ([]int32, error)
	// Cut finds the last place where text may be cut so that the ids of both parts, each encoded by itself, are those
	// of the whole, whatever is appended to text; 0 if it knows none. It may be asked for the leading bytes of a text,
	// even if they end inside a character.
	Cut(text string) int
	// CutFront finds the first place where text may be cut so, whatever is put before text and appended to it; 0 if it
	// knows none.
	CutFront(text string) int
	// Least is a lower bound of the number of tokens in text, found in time linear in its length and without
	// tokenizing; 0 if it knows none.
	Least(text string) int
}

// LabelsPerRow is how many labels of a row, on average over a step's rows, an engine reads in one pass of its output head.
// A row with more counts in a step, and in the queue, as several.
const LabelsPerRow = 16

// ErrMemory is in the error of Engine.Run when the device had no room for the step: a smaller one may work.
var ErrMemory = errors.New("device is out of memory")

// ErrLost is in the error of Engine.Run when the device will never work again in this process. The Scorer then fails
// everything in hand and tells Scorer.Lost.
var ErrLost = errors.New("device is lost")

// Engine runs steps on one device. The Scorer calls its methods from a single goroutine that is locked to its OS thread,
// so an implementation needs no locks; Run cannot be cancelled.
//
// When Run returns, the device has nothing left to do for the step, whether the step has rows or only computes a part of a
// prefix: Scorer.BetweenSteps relies on it.
type Engine interface {
	// Buckets lists the step shapes that are ready to run. A step must fit one of them. The list never changes.
	Buckets() []Bucket
	// Match finds, among the prefixes on the device of at most this Size, the one that shares the most leading tokens with
	// the prompt, among equals the one used last, and how many it shares. With none it returns nil, 0.
	Match(prompt []int32, size int) (*Prefix, int)
	// Run executes the step and returns, for each of its rows, one number per label of the row: its natural-log
	// probability over the whole vocabulary or, for a row that is Relative, that plus a constant of the row's own.
	// After Run the step's prefix can be matched, until others displace it.
	Run(step *Step) ([][]float32, error)
	// Flush drops every prefix on the device and returns how many there were.
	Flush() int
}

// Bucket is a step shape: every array of a step is padded to it, so that one executable serves many steps.
type Bucket struct {
	Tokens int `json:"tokens"` // packed tokens, of the prefix and of the rows together
	Rows   int `json:"rows"`   // rows
	Length int `json:"length"` // tokens of one row's own part
	Prefix int `json:"prefix"` // tokens of the prefix, those on the device and the new ones; 0: rows that stand alone only
	// Cost is the predicted duration of one step of this shape, full or not. It counts in nanoseconds in JSON.
	Cost time.Duration `json:"cost"`
}

// Step is what a device runs at once: at most one prefix, and rows that hang on it or stand alone.
type Step struct {
	Bucket Bucket
	// Prefix is on the device after the step; nil if no row has one. The step computes its last New tokens and takes the
	// Kept before them from the leading tokens of Base. With New == 0 Prefix and Base are the same.
	Prefix, Base *Prefix
	Kept, New    int
	Rows         []*Row
}

// Prefix is a run of tokens that several rows begin with. Its keys and values live on the device in an array of Size
// tokens, so only buckets with this very Bucket.Prefix can run it.
type Prefix struct {
	Tokens []int32
	Size   int
}

// Row is one prompt of one request.
type Row struct {
	Tokens   []int32 // the whole prompt
	Shared   int     // how many leading tokens are those of the step's prefix; 0: the row stands alone. Less than len(Tokens)
	Labels   []int32
	Relative bool // only differences between the labels' log-probabilities matter
}

// Own is the part of the row that its step computes for it alone.
func (r *Row) Own() []int32 { return r.Tokens[r.Shared:] }
