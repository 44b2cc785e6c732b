package score

import "scored/score/plan"

// Encoder turns one whole prompt into token ids. It is safe for concurrent use and returns the same ids every time.
type Encoder interface {
	// Encode tokenizes text, which is UTF-8. With plainSpecials, special-token text such as "<|im_end|>" is ordinary
	// text. An *Error says what is wrong with the text, without a field; any other error is the Encoder's own failure.
	Encode(text string, plainSpecials bool) ([]int32, error)
	// Lead is how many ids Encode puts before those of every text: 1 for a tokenizer that begins a text with a token of
	// its own, often called BOS.
	Lead() int
	// Cut finds the last place where text may be cut so that the ids of both parts, each encoded by itself and the second
	// without its Lead, are those of the whole, whatever is appended to text; 0 if it knows none. It may be asked for the
	// leading bytes of a text, even if they end inside a character.
	Cut(text string) int
	// CutFront finds the first place where text may be cut so, whatever is put before text and appended to it; 0 if it
	// knows none.
	CutFront(text string) int
	// Least is a lower bound of the number of tokens in text, found in time linear in its length and without
	// tokenizing; 0 if it knows none.
	Least(text string) int
}

// What an engine gets and gives is package plan's, which decides on it.
type (
	// Bucket is a step shape.
	Bucket = plan.Bucket
	// Step is what a device runs at once.
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

// What an engine's errors wrap, where the Scorer must know.
var (
	ErrMemory = plan.ErrMemory
	ErrCache  = plan.ErrCache
	ErrLost   = plan.ErrLost
)

// Engine runs steps on one device. The Scorer calls Run from a single goroutine that is locked to its OS thread, and Wait
// from another, once for each Run and in the order of Runs. Package scoretest has what an engine must do as a suite.
//
// When the Wait of the last step returns, the device has nothing left to do: Scorer.BetweenSteps relies on it.
type Engine interface {
	// Buckets lists the step shapes that are ready to run. A step must fit one of them. The list never changes.
	Buckets() []Bucket
	// Pages is how many pages the KV cache has, of PageTokens tokens each. It never changes, and is enough for the largest
	// Bucket.Context. What a page holds is the caller's to know.
	Pages() int
	// Run queues the step on the device. Steps run in the order of Runs; one more may be queued while one runs. The step
	// is the engine's to read until Run returns. After an error the slots that the step wrote hold nothing.
	Run(step *Step) (Pending, error)
}

// CheckBuckets tells whether New would refuse an engine of these buckets, and why.
func CheckBuckets(buckets []Bucket, contextLength int) error {
	_, err := plan.NewLadder(buckets, contextLength)
	return err
}
