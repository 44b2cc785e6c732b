package score

import "time"

// Stage is a part of the life of a request or a step.
type Stage string

const (
	StageRead   Stage = "read"   // body bytes arriving
	StageEncode Stage = "encode" // joining and tokenizing
	StageWait   Stage = "wait"   // rows in the queue
	StageRun    Stage = "run"    // first step of the request started .. last step ended
	StageReply  Stage = "reply"  // encoding and writing the answer
	StageStep   Stage = "step"   // one step on the device, of any number of requests
)

// Span is one stage of one request, or one step. The metrics of stages and steps,
// profiles and traces come from this stream. Counts of HTTP answers and the access log
// do not.
type Span struct {
	Stage     Stage
	RequestID string // "" for a step
	Start     time.Time
	End       time.Time

	Rows   int // rows concerned
	Tokens int // prompt tokens concerned; for a step, the tokens computed
	Cached int // tokens that did not have to be computed
	Err    error

	// The fields below are set for steps only.
	Number int64  // 1 for the first step after start, then one more for each, over all devices
	Device int    // index of the engine that ran it
	Bucket Bucket // the step's shape; Bucket.Tokens-Tokens is the padding
	// Predicted is the duration that the step's price predicts, from Start to End.
	Predicted time.Duration
	Requests  []string // ids of the requests with rows in the step
}

// Observer receives every Span, on the goroutine that ended it. Observe must return
// quickly and must not call the Scorer. It may be called from several goroutines at
// once.
type Observer interface{ Observe(Span) }

// Timing is how long a request spent in each stage.
type Timing struct {
	Encode, Wait, Run time.Duration
}

// Observers passes each Span to several Observers, in order.
type Observers []Observer

// Observe implements Observer.
func (all Observers) Observe(span Span) {
	for _, o := range all {
		o.Observe(span)
	}
}
