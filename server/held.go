package server

import (
	"errors"
	"io"
	"sync/atomic"

	"scored/score"
)

// held counts the bytes of the bodies of all requests in hand, from reading to answer.
// MaxBody bounds one request; without held, many of them together could take all memory
// before the queue refuses one. It is safe for concurrent use.
type held struct {
	most  int64 // bytes; 0: no bound
	bytes atomic.Int64
}

// holding is one request's share of held. Only the request's handler may use it.
type holding struct {
	of    *held
	bytes int64
}

// smallHolding is how many bytes every request may hold, so that a few large bodies do
// not shut out small ones.
const smallHolding = 2 * firstPiece

// grow adds n bytes, or returns Overloaded if all requests hold too much. A single
// request may always grow, because Config.MaxBody bounds it; so may a request below
// smallHolding.
func (h *holding) grow(n int) error {
	total := h.of.bytes.Add(int64(n))
	h.bytes += int64(n)
	if h.of.most > 0 && total > h.of.most && total > h.bytes && h.bytes > smallHolding {
		return score.Errorf(score.Overloaded, "",
			"server holds %d bytes of requests, %d at most; retry later", total-int64(n), h.of.most)
	}
	return nil
}

// release gives the request's bytes back.
func (h *holding) release() { h.of.bytes.Add(-h.bytes) }

// Sizes of the first and the largest piece in which a body of unknown length is read.
const (
	firstPiece = 32 << 10
	lastPiece  = 4 << 20
)

// readAll reads to the end in pieces of growing size, and joins them once. So memory
// follows the bytes that have arrived, and not the length that was announced. While it
// joins, the body takes twice its bytes, of which the pieces are counted.
func (h *holding) readAll(r io.Reader) ([]byte, error) {
	var pieces [][]byte
	total := 0
	for size := firstPiece; ; size = min(2*size, lastPiece) {
		if err := h.grow(size); err != nil {
			return nil, err
		}
		piece, err := fill(r, make([]byte, size))
		pieces = append(pieces, piece)
		total += len(piece)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(pieces) == 1 {
		return pieces[0], nil
	}
	data := make([]byte, 0, total)
	for i, piece := range pieces {
		data = append(data, piece...)
		pieces[i] = nil // so that it need not outlive its copy
	}
	return data, nil
}

// fill reads until the piece is full, or to the end, or to an error, and returns what
// it has read. io.ReadFull does not fit: it reports the end of a complete body as
// io.ErrUnexpectedEOF, which is how the reader reports a body that was cut short.
func fill(r io.Reader, piece []byte) ([]byte, error) {
	n := 0
	for n < len(piece) {
		more, err := r.Read(piece[n:])
		n += more
		if err != nil {
			return piece[:n], err
		}
	}
	return piece, nil
}
