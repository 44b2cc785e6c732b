package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Format is the form in which results are written: JSONLines or CSV. Its methods must be
// safe for concurrent use.
type Format interface {
	// line returns a record's line. answer is nil if the record was not sent. failed
	// reports that there are no scores.
	line(file string, r *record, answer *Answer) (text []byte, failed bool)
	head() []byte                      // precedes the first line
	failed(r io.Reader) (int64, error) // counts the results without scores in an output
	extension() string                 // of file names, such as ".jsonl"
}

// JSONLines is OpenAI's form of a batch's output:
// https://platform.openai.com/docs/guides/batch. Lines without scores stand among the
// others, with the reason in error.
type JSONLines struct{}

// JSON lines need no head.
func (JSONLines) head() []byte      { return nil }
func (JSONLines) extension() string { return ".jsonl" }

// errorOf is the error of a line, as it stands in the output.
type errorOf struct {
	Code    string `json:"code"`
	Message string `json:"message"` // FILE:LINE: reason
	Param   string `json:"param"`   // the field; "" if none
	Line    int64  `json:"line"`
}

// line implements Format.
func (JSONLines) line(file string, r *record, answer *Answer) (text []byte, failed bool) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"id":%s,"custom_id":%s,"response":`, quote(r.requestID()), quote(r.id))
	if answer == nil {
		b.WriteString("null")
	} else {
		fmt.Fprintf(&b, `{"status_code":%d,"request_id":%s,"body":`, answer.Status,
			quote(answer.RequestID))
		writeBody(&b, answer.Body)
		b.WriteByte('}')
	}
	b.WriteString(`,"error":`)
	fault := faultIn(file, r, answer)
	b.Write(marshal(fault))
	b.WriteString("}\n")
	return b.Bytes(), fault != nil
}

// faultIn returns what is wrong with a line, with file, line and field; nil if it has
// scores. answer is nil if the record was not sent; it has a fault then.
func faultIn(file string, r *record, answer *Answer) *errorOf {
	if r.fault != nil {
		return &errorOf{Code: "invalid_line", Param: r.fault.field, Line: r.line,
			Message: fmt.Sprintf("%s:%d: %s", file, r.line, r.fault.message)}
	}
	if answer.Status/100 == 2 {
		return nil
	}
	message := messageOf(answer)
	if answer.Param != "" && !strings.Contains(message, answer.Param) {
		message = answer.Param + ": " + message
	}
	return &errorOf{Code: fmt.Sprintf("status_%d", answer.Status), Param: answer.Param,
		Line: r.line, Message: fmt.Sprintf("%s:%d: %s", file, r.line, message)}
}

// messageOf returns the message of an answer that is an error, in any dialect.
func messageOf(answer *Answer) string {
	var body struct {
		Message string
		Detail  json.RawMessage
		Error   json.RawMessage
	}
	_ = json.Unmarshal(answer.Body, &body) // a body that is no JSON is shown as it is
	for _, raw := range []json.RawMessage{body.Error, body.Detail} {
		var inner struct{ Message string }
		if text, ok := textOf(raw); ok && body.Message == "" {
			body.Message = text
		} else if json.Unmarshal(raw, &inner) == nil && body.Message == "" {
			body.Message = inner.Message
		}
	}
	if body.Message != "" {
		return body.Message
	}
	const most = 200
	text := strings.ToValidUTF8(string(answer.Body[:min(most, len(answer.Body))]), "?")
	return fmt.Sprintf("server answered status %d: %s", answer.Status, text)
}

// writeBody writes an answer's body into a line. JSON of several lines is compacted;
// anything else becomes a string.
func writeBody(b *bytes.Buffer, body []byte) {
	switch {
	case !json.Valid(body):
		b.WriteString(quote(string(body)))
	case bytes.ContainsAny(body, "\r\n"):
		_ = json.Compact(b, body) // it is valid
	default:
		b.Write(body)
	}
}

// scoredEnd is how a line with scores ends, and no other: a text that a line quotes has
// its quotes escaped.
var scoredEnd = []byte(`,"error":null}`)

// failed implements Format. It counts lines by their ending, which needs no more memory
// than a buffer however long a line is.
func (JSONLines) failed(r io.Reader) (n int64, err error) {
	lines := bufio.NewReaderSize(r, 1<<16)
	var end []byte
	for {
		piece, err := lines.ReadSlice('\n')
		end = append(end, piece...)
		end = end[max(0, len(end)-2*len(scoredEnd)):]
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case !bytes.HasSuffix(bytes.TrimRight(end, "\n"), scoredEnd):
			n++
		}
		end = end[:0]
	}
}

// quote returns a text as JSON.
func quote(text string) string { return string(marshal(text)) }

// marshal returns a value as JSON, without the escapes for HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	_ = encode(&b, v) // texts and numbers always encode
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
