package score

import "scored/score/plan"

// Encoder turns the text of a prompt into token ids. It must be safe for concurrent use
// and return the same ids for the same text.
type Encoder interface {
	// Encode tokenizes text, which is UTF-8. With plainSpecials, the text of a special
	// token such as "<|im_end|>" is ordinary text. An *Error without a field says what
	// is wrong with the text. Any other error is the Encoder's own failure.
	Encode(text string, plainSpecials bool) ([]int32, error)
	// Lead is how many ids Encode puts before those of every text: 1 for a tokenizer
	// that begins a text with a token of its own, often called BOS; 0 for others.
	Lead() int
	// Cut returns the last byte offset where text may be cut. A cut must not change any
	// id: the ids of both parts, each encoded by itself and the second without its
	// Lead, are those of the whole text, whatever is appended to text. It returns 0 if
	// it knows none. text may be the leading bytes of a longer text and end inside a
	// character.
	Cut(text string) int
	// CutFront returns the first byte offset where text may be cut in the same sense,
	// whatever is put before text and appended to it; 0 if it knows none.
	CutFront(text string) int
	// Least returns a lower bound of the number of tokens in text. It takes time linear
	// in the length, without tokenizing; 0 if it knows none.
	Least(text string) int
}

// The values that an engine receives and returns are defined by package plan.
type (
	// Bucket is a step shape.
	Bucket = plan.Bucket
	// Step is the work that a device runs at once.
	Step = plan.Step
	// Prefix is a run of tokens whose keys and values the KV cache holds after the step.
	Prefix = plan.Prefix
	// Row is one prompt of one request.
	Row = plan.Row
	// Read is a place inside a row at which labels are read.
	Read = plan.Read
	// Pending is a step that is queued on a device.
	Pending = plan.Pending
)

const (
	PageTokens   = plan.PageTokens
	LabelsPerRow = plan.LabelsPerRow
)

// Errors that an engine wraps where the Scorer must act on them: see plan.
var (
	ErrMemory = plan.ErrMemory
	ErrCache  = plan.ErrCache
	ErrLost   = plan.ErrLost
)

// Engine runs steps on one device. The Scorer calls Run from a single goroutine, which
// is locked to its OS thread. It calls Wait from another goroutine, once for each Run
// that succeeded, in the order of the Runs. Package scoretest checks that an engine
// keeps this contract.
//
// When the Wait of the last step returns, the device must have nothing left to do:
// Scorer.BetweenSteps relies on it.
type Engine interface {
	// Buckets lists the step shapes that are ready to run. Every step has one of them.
	// The list never changes.
	Buckets() []Bucket
	// Pages is the number of pages of the KV cache, of PageTokens tokens each. It never
	// changes, and must be enough for the largest Bucket.Context. The caller decides
	// which tokens a page holds.
	Pages() int
	// Run queues the step on the device. Steps run in the order of the Runs; one more
	// may be queued while one runs. The engine may read the step until Run returns and
	// must not keep it. After an error the slots that the step was to write hold
	// nothing.
	Run(step *Step) (Pending, error)
}

// CheckBuckets returns the error with which New would refuse an engine of these
// buckets; nil if it would not.
func CheckBuckets(buckets []Bucket, contextLength int) error {
	_, err := plan.NewLadder(buckets, contextLength)
	return err
}
