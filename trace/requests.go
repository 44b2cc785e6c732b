package trace

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"scored/score"
)

// Requests whose reply is never told, such as those of /health_generate, are over when they have been silent for maxIdle, or
// when maxOpen others have been heard of since.
const (
	maxOpen = 4096
	maxIdle = 5 * time.Minute
)

// requests gathers the spans of requests under way. A stage that a request has had already begins another of the same id;
// a client that uses one id for two requests at once may get their stages mixed.
type requests struct {
	maxOpen int
	maxIdle time.Duration

	mu    sync.Mutex
	byID  map[string]*list.Element // of *open
	order *list.List               // the one silent for longest comes first
}

type open struct {
	id    string
	heard time.Time
	spans []score.Span
}

func (o *open) had(stage score.Stage) bool {
	return slices.ContainsFunc(o.spans, func(span score.Span) bool { return span.Stage == stage })
}

func newRequests(maxOpen int, maxIdle time.Duration) *requests {
	return &requests{maxOpen: maxOpen, maxIdle: maxIdle, byID: map[string]*list.Element{}, order: list.New()}
}

// add takes a span and returns the requests that are over, each with its spans in the order they were told.
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
	if span.Stage == score.StageReply { // the last stage, whether it tells of scores or of an error
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

// drain returns all that is left.
func (r *requests) drain() (over [][]score.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for front := r.order.Front(); front != nil; front = r.order.Front() {
		over = append(over, r.remove(front))
	}
	return over
}

func (r *requests) remove(element *list.Element) []score.Span {
	request := r.order.Remove(element).(*open)
	delete(r.byID, request.id)
	return request.spans
}
