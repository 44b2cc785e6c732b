package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scored/score"
)

// readBody reads at most MaxBody bytes, until BodyTimeout or ctx's deadline. A larger body is refused unread where its
// length is announced.
func (s *Server) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > s.cfg.MaxBody {
		return nil, s.tooLarge()
	}
	until := time.Time{}
	if s.cfg.BodyTimeout > 0 {
		until = time.Now().Add(s.cfg.BodyTimeout)
	}
	if deadline, ok := ctx.Deadline(); ok && (until.IsZero() || deadline.Before(until)) {
		until = deadline
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(until) // connections without deadlines are those of tests
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, s.tooLarge()
	case err != nil:
		w.Header().Set("Connection", "close") // the rest of the body may still come
		return nil, &apiError{status: http.StatusRequestTimeout, kind: "RequestTimeoutError", message: "body ended before it was whole", cause: err}
	}
	// net/http watches the connection while the request is answered, and a deadline of reading would end that.
	_ = connection.SetReadDeadline(time.Time{})
	return s.decompress(data, r.Header.Get("Content-Encoding"))
}

func (s *Server) tooLarge() error {
	return score.Errorf(score.TooLarge, "", "body is larger than %d bytes; split the request", s.cfg.MaxBody)
}

// decompress undoes the Content-Encoding. What unpacks to more than MaxBody is refused there.
func (s *Server) decompress(data []byte, encoding string) ([]byte, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
		return data, nil
	case "gzip", "x-gzip":
	default:
		return nil, &apiError{status: http.StatusUnsupportedMediaType, kind: "BadRequestError", param: "Content-Encoding",
			message: "Content-Encoding " + strconv.Quote(encoding) + " is not supported; send gzip or none"}
	}
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(zipped, s.cfg.MaxBody+1))
	}
	if err != nil {
		return nil, &score.Error{Kind: score.Invalid, Param: "Content-Encoding", Message: "body is not whole gzip though Content-Encoding says so", Err: err}
	}
	if int64(len(data)) > s.cfg.MaxBody {
		return nil, s.tooLarge()
	}
	return data, nil
}
