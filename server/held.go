package server

import (
	"errors"
	"io"
	"sync/atomic"

	"scored/score"
)

// held counts the bytes of the bodies of all requests in hand, from their reading to their answer.
type held struct {
	most  int64 // 0: no bound
	bytes atomic.Int64
}

// holding is one request's share. It is its handler's alone.
type holding struct {
	of    *held
	bytes int64
}

// smallHolding is what every request may take, so that a few large bodies in hand refuse no small one.
const smallHolding = 2 * firstPiece

// grow takes n more bytes. One request alone always may, which Config.MaxBody bounds, and a small one.
func (h *holding) grow(n int) error {
	total := h.of.bytes.Add(int64(n))
	h.bytes += int64(n)
	if h.of.most > 0 && total > h.of.most && total > h.bytes && h.bytes > smallHolding {
		return score.Errorf(score.Overloaded, "", "server holds %d bytes of requests, %d at most; retry later", total-int64(n), h.of.most)
	}
	return nil
}

func (h *holding) release() { h.of.bytes.Add(-h.bytes) }

// The sizes of the pieces in which a body of unknown length is read.
const (
	firstPiece = 32 << 10
	lastPiece  = 4 << 20
)

// readAll reads to the end in growing pieces, so that memory follows what has arrived, and joins them once.
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

// fill reads until the piece is full, the end or an error, and gives what has been read. io.ReadFull would not do: it calls
// the end of a whole body io.ErrUnexpectedEOF, as the reader calls that of a body cut short.
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
