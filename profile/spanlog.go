package profile

import (
	"slices"

	"scored/score"
)

const (
	spanChunk = 1024 // spans of a chunk
	spanBytes = 256  // memory of a Span, without its strings and slices
)

// spanLog keeps spans up to a number and a size in bytes, and counts those beyond. It
// grows by chunks, so that adding a span never copies others: the goroutine that adds it
// may be the one that feeds the device. It has no lock.
type spanLog struct {
	maxEvents int
	maxBytes  int64

	chunks  [][]score.Span // of spanChunk spans each; the last may have fewer
	events  int            // spans kept
	bytes   int64          // estimated memory of these
	dropped int64          // spans left out
}

// add keeps a copy of span. The list of requests is copied, because the caller may reuse
// its memory.
func (l *spanLog) add(span *score.Span) {
	size := int64(spanBytes + len(span.RequestID))
	for _, id := range span.Requests {
		size += int64(16 + len(id))
	}
	if l.events == l.maxEvents || l.bytes+size > l.maxBytes {
		l.dropped++
		return
	}
	if l.events%spanChunk == 0 {
		l.chunks = append(l.chunks, make([]score.Span, 0, spanChunk))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, *span)
	kept := &(*last)[len(*last)-1]
	kept.Requests = slices.Clone(span.Requests)
	l.events++
	l.bytes += size
}

// all calls yield with every span, in the order in which the spans ended.
func (l *spanLog) all(yield func(*score.Span) bool) {
	for _, chunk := range l.chunks {
		for i := range chunk {
			if !yield(&chunk[i]) {
				return
			}
		}
	}
}
