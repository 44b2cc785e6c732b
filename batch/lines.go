package batch

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// reader returns a file's records in order, then io.EOF. What is wrong with one record is
// its fault; an error ends the reading. The records are the caller's.
type reader interface {
	next() (*record, error)
	close() error // also closes the file
}

// lineReader reads JSON lines. Blank lines are no records.
type lineReader struct {
	source   *source
	r        *bufio.Reader
	most     int // longest line in bytes
	endpoint string
	paths    []string
	n        int64 // index of the next record
	line     int64 // number of the last line read, blank ones included
}

// newLineReader returns a reader of s, which it closes when it is closed.
func newLineReader(s *source, o Options) *lineReader {
	return &lineReader{source: s, r: bufio.NewReaderSize(s, 1<<18), most: o.LineBytes,
		endpoint: o.Endpoint, paths: o.Paths}
}

// close implements reader.
func (l *lineReader) close() error { return l.source.close() }

// next implements reader.
func (l *lineReader) next() (*record, error) {
	for {
		text, long, err := l.read()
		if err != nil {
			return nil, err
		}
		l.line++
		if !long && len(strings.TrimSpace(string(text))) == 0 {
			continue
		}
		r := &record{n: l.n, line: l.line, place: l.source.place()}
		l.n++
		if long {
			r.fault = faultOf("", "line is longer than %d bytes; split it", l.most)
			r.body = text // its beginning, so that the hash tells lines apart
		} else {
			r.read(text, l.endpoint)
			if l.paths != nil && r.path != l.endpoint && !slices.Contains(l.paths, r.path) {
				r.fail("url", "field url is %q, by which nothing is scored; it may be %s", r.path,
					strings.Join(l.paths, ", "))
			}
		}
		if r.id == "" {
			r.id = fmt.Sprintf("line-%d", r.line)
		}
		r.derive()
		return r, nil
	}
}

// byteOrderMark is U+FEFF, which some editors put at the beginning of a file.
const byteOrderMark = "\ufeff"

// read returns the next line without its end. If the line is longer than most, it returns
// its beginning and long: the rest is passed over, and takes no memory. The caller owns
// the bytes.
func (l *lineReader) read() (text []byte, long bool, err error) {
	// Peek fails on a file that is shorter, which has no mark then.
	if start, _ := l.r.Peek(len(byteOrderMark)); l.line == 0 && string(start) == byteOrderMark {
		_, _ = l.r.Discard(len(byteOrderMark)) // these bytes are buffered
	}
	for {
		piece, err := l.r.ReadSlice('\n') // valid until the next read
		if room := l.most - len(text); len(piece) > room+1 {
			// One byte more than room may be the line's end.
			text, long = append(text, piece[:max(room, 0)]...), true
		} else if !long {
			text = append(text, piece...)
		}
		switch {
		case err == nil:
			return trimEnd(text), long, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(text) == 0:
			return nil, false, io.EOF
		case err == io.EOF:
			return trimEnd(text), long, nil
		default:
			return nil, false, fmt.Errorf("line %d cannot be read: %w", l.line+1, l.source.explain(err))
		}
	}
}

// trimEnd removes the line's end, \n or \r\n.
func trimEnd(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
	}
	return text
}

// read reads a line in OpenAI's batch form,
// https://platform.openai.com/docs/guides/batch, or a bare body. A body of ours has no
// field named body, which tells the forms apart.
func (r *record) read(text []byte, endpoint string) {
	r.method, r.path, r.body = "POST", endpoint, text
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		r.fault = faultOf("", "line is no JSON object: %s", jsonFault(err))
		return
	}
	if fields == nil {
		r.fault = faultOf("", "line is null; it must be a JSON object")
		return
	}
	body, wrapped := fields["body"]
	if !wrapped {
		if _, named := fields["custom_id"]; named {
			r.fault = faultOf("body", "field body is missing")
			r.id, _ = textOf(fields["custom_id"])
		}
		return
	}
	r.body = body
	for _, field := range []struct {
		name     string
		to       *string
		optional bool
	}{{"custom_id", &r.id, false}, {"method", &r.method, true}, {"url", &r.path, false}} {
		value, given := fields[field.name]
		if !given && field.optional {
			continue
		}
		text, ok := textOf(value)
		switch {
		case !given:
			r.fail(field.name, "field %s is missing", field.name)
		case !ok || text == "":
			r.fail(field.name, "field %s must be a text that is not empty", field.name)
		default:
			*field.to = text
		}
	}
	r.check()
}

// check refuses a request that cannot be sent: another method than POST, or a url that is
// no path. A url with a host would send the body, and the key, to another server.
func (r *record) check() {
	if r.method != "POST" {
		r.fail("method", "field method is %q; it must be POST", r.method)
	}
	if to, err := url.ParseRequestURI(r.path); err != nil || to.Host != "" ||
		!strings.HasPrefix(r.path, "/") {
		r.fail("url", "field url is %q; it must be a path such as /v1/score", r.path)
	}
}

// fail records a fault, unless there is one already.
func (r *record) fail(field, format string, values ...any) {
	if r.fault == nil {
		r.fault = faultOf(field, format, values...)
	}
}

// textOf returns a JSON value that is a string.
func textOf(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return text, json.Unmarshal(raw, &text) == nil
}

// jsonFault describes an error of encoding/json without Go's types, which mean nothing to
// whoever wrote the line.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s, at byte %d", syntax.Error(), syntax.Offset)
	case errors.As(err, &kind):
		return "it is of the type " + kind.Value
	}
	return err.Error()
}
