package batch

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

// window is a run of records, and the order in which to send them. It is written when all
// of them are scored.
type window struct {
	first, size int64 // index of the first record; number of records
	order       []*record
}

// readWindow reads the next records: at most records, and until their bodies fill room
// bytes. It returns nil after the last.
func readWindow(next func() (*record, error), records int, room int64) (*window, error) {
	w := &window{}
	for len(w.order) < records && room > 0 {
		one, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		w.order = append(w.order, one)
		room -= int64(len(one.body)) + recordBytes
	}
	if len(w.order) == 0 {
		return nil, nil
	}
	w.first, w.size = w.order[0].n, int64(len(w.order))
	sortByQuery(w.order)
	return w, nil
}

// recordBytes is about how much memory a record takes beside its body.
const recordBytes = 300

// sortByQuery sorts records so that those with the same query are adjacent, and queries
// that begin alike are near each other: the server caches common prefixes. Records of
// one query stay in order.
func sortByQuery(all []*record) {
	slices.SortStableFunc(all, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.path, b.path), bytes.Compare(a.query, b.query))
	})
}
