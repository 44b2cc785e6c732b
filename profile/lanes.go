package profile

import (
	"slices"

	"scored/score"
)

// lanes puts the requests into as few lanes as possible, so that those in a lane do not
// overlap. Taking requests by their begin, and for each the first lane that is free,
// needs no more lanes than there are requests at one time.
func lanes(all spans) [][]*request {
	requests := requestsOf(all)
	slices.SortStableFunc(requests, func(a, b *request) int { return a.start.Compare(b.start) })
	var packed [][]*request
	for _, r := range requests {
		// The first lane that is free; there are few lanes, so a search is enough.
		lane := slices.IndexFunc(packed, func(lane []*request) bool {
			return !lane[len(lane)-1].end.After(r.start)
		})
		if lane < 0 {
			packed = append(packed, nil)
			lane = len(packed) - 1
		}
		packed[lane] = append(packed[lane], r)
	}
	return packed
}

// requestsOf groups the spans of requests by id, in the order of their stages. A span
// without an id counts as a request of its own. Spans without a begin, or that end before
// it, are left out: viewers cannot show them.
func requestsOf(all spans) []*request {
	var requests []*request
	byID := map[string]*request{}
	for span := range all {
		if span.Stage == score.StageStep || span.Start.IsZero() || span.End.Before(span.Start) {
			continue
		}
		r := byID[span.RequestID]
		if r == nil || span.RequestID == "" {
			r = &request{start: span.Start, end: span.End}
			byID[span.RequestID] = r
			requests = append(requests, r)
		}
		r.stages = append(r.stages, span)
		if span.Start.Before(r.start) {
			r.start = span.Start
		}
		if span.End.After(r.end) {
			r.end = span.End
		}
	}
	for _, r := range requests {
		slices.SortStableFunc(r.stages, func(a, b *score.Span) int { return a.Start.Compare(b.Start) })
	}
	return requests
}
