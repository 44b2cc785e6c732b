package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"scored/score"
)

// bodyReader reads the bodies of requests within the bounds of the Config.
type bodyReader struct {
	most    int64         // bytes of one body, compressed or not
	timeout time.Duration // for a body to arrive; 0: no limit
	held    held          // of all bodies together
}

// hold returns a request's share of the bytes in hand, which is empty yet. The caller
// must release it when the request is answered, because its values share the memory of
// the body.
func (b *bodyReader) hold() *holding { return &holding{of: &b.held} }

// read reads a body of at most most bytes, and of those that every body may have. It
// reads until timeout or the deadline of ctx, and refuses a body whose announced length
// is larger without reading it. Its errors have the status that the client gets.
func (b *bodyReader) read(ctx context.Context, w http.ResponseWriter, r *http.Request,
	share *holding, most int64) ([]byte, error) {
	most = min(most, b.most)
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	until, timed := b.until(ctx)
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(until) // fails only on connections of tests
	inner := w
	// net/http lets a client read its 413 only if MaxBytesReader gets net/http's own
	// writer.
	if outer, ok := w.(*recorder); ok {
		inner = outer.ResponseWriter
	}
	data, err := share.readAll(http.MaxBytesReader(inner, r.Body, most))
	if err != nil {
		w.Header().Set("Connection", "close")
		_ = connection.SetReadDeadline(time.Now()) // nobody waits for the rest of the body
		return nil, bodyError(err, timed)
	}
	// net/http watches the connection while the request is answered; a read deadline
	// would end that.
	_ = connection.SetReadDeadline(time.Time{})
	return decompress(data, r.Header.Get("Content-Encoding"), share, most)
}

// until returns when the body must have arrived; the zero time if it may take for ever.
// timed reports that this is the deadline of ctx, and not the bodies' timeout: an error
// says which of the two has passed.
func (b *bodyReader) until(ctx context.Context) (until time.Time, timed bool) {
	if b.timeout > 0 {
		until = time.Now().Add(b.timeout)
	}
	if deadline, ok := ctx.Deadline(); ok && (until.IsZero() || deadline.Before(until)) {
		return deadline, true
	}
	return until, false
}

// bodyError returns the error of a body that could not be read: it is too large, the
// request's own deadline has passed (timed), it arrived too slowly, or its bytes are
// malformed. Clients repeat a request after 408 and 504.
func bodyError(err error, timed bool) error {
	var domain *score.Error
	var over *http.MaxBytesError
	switch late := errors.Is(err, os.ErrDeadlineExceeded); {
	case errors.As(err, &domain): // bodies of other requests leave no room
		return err
	case errors.As(err, &over):
		return tooLarge(over.Limit)
	case late && timed:
		return &score.Error{Kind: score.Deadline,
			Message: "request ended before its body had arrived", Err: err}
	case late:
		return &apiError{status: http.StatusRequestTimeout, kind: "RequestTimeoutError",
			message: "body did not arrive in time", cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &score.Error{Kind: score.Invalid,
			Message: "body ended before it was whole; send as many bytes as announced", Err: err}
	default:
		return &score.Error{Kind: score.Invalid,
			Message: "body cannot be read; its chunks are malformed", Err: err}
	}
}

// tooLarge returns the error, status 413, of a body larger than most bytes.
func tooLarge(most int64) error {
	return score.Errorf(score.TooLarge, "", "body is larger than %d bytes; split the request", most)
}

// decompress undoes the Content-Encoding. It stops and refuses a body that unpacks to
// more than most bytes. sglang-jax takes no compressed bodies; the field's clients send
// gzip if they send any.
func decompress(data []byte, encoding string, share *holding, most int64) ([]byte, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
		return data, nil
	case "gzip", "x-gzip":
	default:
		return nil, &apiError{status: http.StatusUnsupportedMediaType, kind: "BadRequestError",
			param:   "Content-Encoding",
			message: "Content-Encoding " + strconv.Quote(encoding) + " is not supported; send gzip or none"}
	}
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		data, err = share.readAll(io.LimitReader(zipped, most+1))
	}
	var domain *score.Error
	if errors.As(err, &domain) {
		return nil, err
	}
	if err != nil {
		return nil, &score.Error{Kind: score.Invalid, Param: "Content-Encoding",
			Message: "body is not whole gzip though Content-Encoding says so", Err: err}
	}
	if int64(len(data)) > most {
		return nil, tooLarge(most)
	}
	return data, nil
}
