package trace

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"scored/score"
)

// A request whose reply is never reported, such as one of /health_generate, ends after
// maxIdle without a span, or when more than maxOpen requests are open and it has been
// silent for longest.
const (
	maxOpen = 4096
	maxIdle = 5 * time.Minute
)

// requests collects the spans of requests in progress. A stage that a request has had
// already begins another request of the same id. If a client uses one id for two
// requests at once, their stages may be mixed. It is safe for concurrent use.
type requests struct {
	maxOpen int
	maxIdle time.Duration

	mu    sync.Mutex
	byID  map[string]*list.Element // of *open
	order *list.List               // of *open, the one that has been silent for longest first
}

// open is a request in progress.
type open struct {
	id    string
	heard time.Time
	spans []score.Span
}

// had reports whether the request has had this stage.
func (o *open) had(stage score.Stage) bool {
	return slices.ContainsFunc(o.spans, func(span score.Span) bool { return span.Stage == stage })
}

// newRequests returns an empty collection with these bounds.
func newRequests(maxOpen int, maxIdle time.Duration) *requests {
	return &requests{maxOpen: maxOpen, maxIdle: maxIdle, byID: map[string]*list.Element{},
		order: list.New()}
}

// add records a span and returns the requests that are complete, each with its spans in
// the order in which they were added.
func (r *requests) add(span score.Span, now time.Time) (over [][]score.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	element := r.byID[span.RequestID]
	if element != nil && element.Value.(*open).had(span.Stage) {
		over = append(over, r.remove(element))
		element = nil
	}
	if element == nil {
		element = r.order.PushBack(&open{id: span.RequestID})
		r.byID[span.RequestID] = element
	}
	r.order.MoveToBack(element)
	request := element.Value.(*open)
	request.heard = now
	request.spans = append(request.spans, span)
	if span.Stage == score.StageReply { // the last stage, of a success or an error
		over = append(over, r.remove(element))
	}
	for front := r.order.Front(); front != nil; front = r.order.Front() {
		if r.order.Len() <= r.maxOpen && now.Sub(front.Value.(*open).heard) < r.maxIdle {
			break
		}
		over = append(over, r.remove(front))
	}
	return over
}

// drain removes and returns all requests.
func (r *requests) drain() (over [][]score.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for front := r.order.Front(); front != nil; front = r.order.Front() {
		over = append(over, r.remove(front))
	}
	return over
}

// remove removes a request and returns its spans. r.mu must be held.
func (r *requests) remove(element *list.Element) []score.Span {
	request := r.order.Remove(element).(*open)
	delete(r.byID, request.id)
	return request.spans
}
