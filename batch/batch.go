// Package batch scores files: it reads bodies line by line, lets a Scorer answer them,
// and writes the answers in the order of the lines. It knows neither engine nor server.
//
// Memory does not grow with the number of lines. Lines are read in windows. The lines
// of a window that share a query are sent one after the other, so that the query is
// computed once. A run that ends early can be resumed, however it ended: see
// journal.
//
// Begin with Run and Options.
package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Request is a body to be scored.
type Request struct {
	ID           string // for X-Request-Id; the same in every run
	Method, Path string
	Body         []byte
}

// Answer is a server's answer to a Request.
type Answer struct {
	Status     int
	RequestID  string
	Param      string        // field at fault, from X-Scored-Error-Param; "" if none
	RetryAfter time.Duration // from Retry-After; 0 if there is none
	Final      bool          // X-Should-Retry is false
	Body       []byte
}

// Scorer answers bodies. It must be safe for concurrent use. An error means that there
// is no answer. If it wraps ErrStop, no later body will be answered either and the run
// ends; any other error may be temporary.
type Scorer interface {
	Score(ctx context.Context, r *Request) (*Answer, error)
}

// ErrStop is wrapped by errors after which no body will be answered.
var ErrStop = errors.New("scoring has ended")

// Options say how files are read, scored and written.
type Options struct {
	Endpoint string   // path of bodies that name none
	Paths    []string // paths that a line may name; nil: any
	Table    Table    // for CSV and Parquet
	Format   Format   // of the output

	Concurrency int   // lines in hand at once: sent, and not answered
	Items       int   // items in hand at once; a line with more items is in hand alone
	Window      int   // number of lines among which shared queries are looked for
	WindowBytes int64 // bytes of their bodies; the line that reaches this ends the window
	LineBytes   int   // longest line

	Resume bool   // continue an earlier run
	Run    string // what else answers depend on, such as the model; must equal the earlier run's

	// Tell receives the progress every TellEvery and at the end of each file; nil: there
	// are no reports. Its calls come one at a time.
	Tell      func(Counts)
	TellEvery time.Duration
}

// Counts is the progress of a run.
type Counts struct {
	Lines  int64         // answered in this run
	Items  int64         // scored in this run
	Failed int64         // lines of the file without scores, those of an earlier run included
	Share  float64       // of the input that is done, 0 to 1; below 0 if not known
	Before float64       // share that was done when this run began
	Took   time.Duration // since the run began
	File   string        // being scored
	Done   bool          // the file is done
}

// Left predicts how long the rest takes at the rate so far; 0 if it cannot be
// predicted.
func (c Counts) Left() time.Duration {
	if c.Share <= c.Before || c.Share < 0 {
		return 0
	}
	return time.Duration(float64(c.Took) * (1 - c.Share) / (c.Share - c.Before))
}

// Summary is the result of a run.
type Summary struct {
	Files, Skipped int // Skipped of the Files had been completed by an earlier run
	Lines, Failed  int64
	Last           Counts // when the run ended
}

// Run scores every job's input, one file after the other. A line without scores is no
// error: Summary counts it. After an error the results so far stay beside the output,
// and Options.Resume continues from there.
func Run(ctx context.Context, o Options, scorer Scorer, jobs []Job) (Summary, error) {
	sum := Summary{Files: len(jobs)}
	p := newProgress(o, jobs)
	defer p.close()
	for i, job := range jobs {
		p.file(i)
		done, failed, err := runFile(ctx, o, scorer, job, p)
		sum.Lines = p.count.lines.Load()
		sum.Failed += failed
		if done {
			sum.Skipped++
		}
		if err == nil {
			p.end()
		}
		sum.Last = p.last()
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// record is a line or a row: a body, or what is wrong with it.
type record struct {
	n      int64  // index among the file's records
	line   int64  // number in the file, from 1
	id     string // custom_id
	method string
	path   string
	body   []byte
	fault  *fault
	query  []byte  // what its items share, as in the body
	items  int     // at least 1
	place  float64 // share of the file up to its end; NaN if not known
	share  float64 // share of the file that it is
	sum    uint64  // hash of all that its answer depends on
}

// fault says what is wrong with a line that was not sent.
type fault struct {
	field, message string
}

func (f *fault) Error() string { return f.message }

// faultOf returns a fault of a field; "" means the whole line.
func faultOf(field, format string, values ...any) *fault {
	return &fault{field: field, message: fmt.Sprintf(format, values...)}
}

// requestID returns the id of the record's request. It is the same in every run.
func (r *record) requestID() string { return fmt.Sprintf("batch_req_%d", r.n+1) }

// derive sets the fields that follow from the others: sum, query and items.
func (r *record) derive() {
	h := fnv.New64a()
	for _, part := range [][]byte{[]byte(r.id), []byte(r.path), r.body} {
		_, _ = h.Write(part) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	if r.fault != nil {
		_, _ = h.Write([]byte(r.fault.message))
	}
	r.sum = h.Sum64()
	r.items = 1
	if r.fault == nil {
		r.query, r.items = shared(r.body)
	}
}

// shared returns what a body's items share and how many items there are, by the field
// names of all dialects.
func shared(body []byte) (query []byte, items int) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil, 1 // the server's answer reports it
	}
	for _, name := range []string{"query", "queries", "text_1", "data_1"} {
		if v, ok := fields[name]; ok {
			query = v
			break
		}
	}
	items = 1
	for _, name := range []string{"items", "documents", "texts", "passages", "text_2", "data_2",
		"instances"} {
		var list []json.RawMessage
		if v, ok := fields[name]; ok && json.Unmarshal(v, &list) == nil {
			items = max(items, len(list))
		}
	}
	return query, items
}
