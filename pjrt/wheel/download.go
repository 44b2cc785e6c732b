package wheel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	downloadTries = 5 // requests in a row that bring no byte, until the download fails
	defaultRetry  = time.Second
	defaultStall  = 30 * time.Second
)

// statusError is an answer whose status is not 200 or 206.
type statusError struct {
	url    string
	status int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answers %d %s", e.url, e.status, http.StatusText(e.status))
}

// temporary reports whether the same request may succeed later.
func (e *statusError) temporary() bool {
	return e.status >= 500 || e.status == http.StatusTooManyRequests ||
		e.status == http.StatusRequestTimeout
}

func (o Options) client() *http.Client {
	if o.Client != nil {
		return o.Client
	}
	return http.DefaultClient
}

// download puts the wheel into the file at path and checks its digest. It goes on from
// the bytes that an earlier download left there. A file with another digest is removed;
// if it began with such bytes, they may be the cause, and the whole is downloaded once
// more.
func download(ctx context.Context, w wheel, path string, o Options) error {
	resumed := size(path) > 0
	if err := transfer(ctx, w, path, o); err != nil {
		return err
	}
	digest, err := Digest(path)
	if err != nil {
		return err
	}
	if digest == w.sha256 {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	if resumed {
		return download(ctx, w, path, o)
	}
	return fmt.Errorf("wheel %s as served has sha256 %s instead of the pinned %s: the index or "+
		"the network altered it, use another index",
		w.file(), digest, w.sha256)
}

// transfer requests the bytes that are missing, again and again, until all are there.
// It gives up after a few requests in a row that brought none, at an answer that will
// not change, and when ctx ends. A large wheel may take an hour, so no bound holds for
// the whole.
func transfer(ctx context.Context, w wheel, path string, o Options) error {
	progress := newProgress(o.Progress, w.file(), w.size)
	defer progress.close()
	for fruitless := 0; ; {
		before := size(path)
		err := attempt(ctx, w, path, o, progress)
		if err == nil {
			return nil
		}
		var status *statusError
		if ctx.Err() != nil || errors.Is(err, errIndex) ||
			errors.As(err, &status) && !status.temporary() {
			return err
		}
		if fruitless++; size(path) > before {
			fruitless = 0
		}
		if fruitless >= downloadTries {
			return fmt.Errorf("%w (after %d tries): check the network, or give a folder that has %s",
				err, downloadTries, w.file())
		}
		if o.Logger != nil {
			o.Logger.Warn("download interrupted, going on", "file", w.file(), "bytes", size(path),
				"error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cmp.Or(o.retry, defaultRetry)):
		}
	}
}

// attempt makes one request for the missing bytes, and ends it when no byte has come
// for a while: a connection that is lost without a word would else hang for ever.
func attempt(ctx context.Context, w wheel, path string, o Options, progress *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := cmp.Or(o.stall, defaultStall)
	alive := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no byte came for %s", stall)) })
	defer alive.Stop()

	err := request(ctx, w, path, o, func(n int64) {
		alive.Reset(stall)
		progress.set(n)
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("wheel %s: %w", w.file(), cause)
	}
	return err
}

// request asks for the bytes that the file at path lacks and appends them. got is called
// with the size of the file as it grows.
func request(ctx context.Context, w wheel, path string, o Options, got func(total int64)) error {
	have := size(path)
	if have >= w.size {
		return nil // complete, or too long: the digest decides
	}
	address, err := wheelURL(ctx, w, o)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	response, err := o.client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK: // the server ignores ranges and sends the whole file
		have = 0
	default:
		return &statusError{request.URL.Redacted(), response.StatusCode}
	}
	return appendBody(path, have, w.size, response.Body, got)
}

// appendBody writes the body into the file from an offset on. want is the size that the
// file should have in the end. One byte more is written if it comes, so that a file that
// is too long has the wrong digest, and no more than one, so that it fills no disk.
func appendBody(path string, offset, want int64, body io.Reader, got func(total int64)) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(offset), seek(file, offset)); err != nil {
		return errors.Join(err, file.Close())
	}
	counted := &countingReader{body, offset, got}
	_, err = io.Copy(file, io.LimitReader(counted, want-offset+1))
	if err == nil && counted.total < want {
		err = fmt.Errorf("%s ended after %d of %d bytes: %w", path, counted.total, want,
			io.ErrUnexpectedEOF)
	}
	return errors.Join(err, file.Close())
}

func seek(file *os.File, offset int64) error {
	_, err := file.Seek(offset, io.SeekStart)
	return err
}

// countingReader counts the bytes of a file as they are read: total has those that were
// there before, and got is called with it after each read.
type countingReader struct {
	io.Reader
	total int64
	got   func(total int64)
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.total += int64(n)
		r.got(r.total)
	}
	return n, err
}

// size is that of the file at path; 0 if there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
