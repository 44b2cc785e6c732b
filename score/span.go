package score

import "time"

// Stage is a part of a request's or a step's life.
type Stage string

const (
	StageRead   Stage = "read"   // body bytes arriving
	StageEncode Stage = "encode" // joining and tokenizing
	StageWait   Stage = "wait"   // rows in the queue
	StageRun    Stage = "run"    // first step of the request started .. last step ended
	StageReply  Stage = "reply"  // encoding and writing the answer
	StageStep   Stage = "step"   // one step on the device, of any number of requests
)

// Span is one stage of one request, or one step. Every figure that the metrics, the profile and the access log show
// comes from this one stream.
type Span struct {
	Stage     Stage
	RequestID string // "" for a step
	Start     time.Time
	End       time.Time

	Rows   int // rows concerned
	Tokens int // prompt tokens concerned; for a step, the tokens computed
	Cached int // tokens that did not have to be computed
	Err    error

	// Steps only.
	Number int64  // 1 for the first step after start, then one more for each, on whatever device
	Device int    // the engine that ran it, counted from 0
	Bucket Bucket // the executable's shape; Bucket.Tokens-Tokens is the padding
	// Predicted is what the step was to take by its price: from Start to End, if nothing else slows it.
	Predicted time.Duration
	Requests  []string // ids of the requests with rows in the step
}

// Observer is told of every Span, from the goroutine that ended it. It must return quickly and must not call back.
type Observer interface{ Observe(Span) }

// Timing is how long a request spent in each stage.
type Timing struct {
	Encode, Wait, Run time.Duration
}

// Observers tells each of several Observers, in order.
type Observers []Observer

// Observe implements Observer.
func (all Observers) Observe(span Span) {
	for _, o := range all {
		o.Observe(span)
	}
}
