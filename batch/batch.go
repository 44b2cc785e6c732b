// Package batch scores files: it reads bodies line by line, has them scored, and writes the answers in the order of the
// lines. It knows neither engine nor server: a Scorer answers bodies.
//
// Memory does not grow with the number of lines. Lines are read in windows; those of a window that share a query are sent
// one after the other, so that the query is computed once. A run that ends early, however it ends, goes on where it was:
// see journal.
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

// Answer is what a server says to a Request.
type Answer struct {
	Status     int
	RequestID  string
	Param      string        // the field at fault, from X-Scored-Error-Param
	RetryAfter time.Duration // from Retry-After; 0 if there is none
	Final      bool          // X-Should-Retry is false
	Body       []byte
}

// Scorer has bodies scored. It is safe for concurrent use. An error tells that there is no answer; one that wraps ErrStop
// ends the run, any other may go away by itself.
type Scorer interface {
	Score(ctx context.Context, r *Request) (*Answer, error)
}

// ErrStop is wrapped by errors after which no body will be answered.
var ErrStop = errors.New("scoring has ended")

// Options are how files are read, scored and written.
type Options struct {
	Endpoint string   // the path of bodies that bring none
	Paths    []string // what a line may name as its path; nil: any
	Table    Table    // for CSV and Parquet
	Format   Format   // of what is written

	Concurrency int   // lines in hand at once
	Items       int   // items in hand at once; a line with more is in hand alone
	Window      int   // lines in which shared queries are looked for
	WindowBytes int64 // bytes of their bodies; the line that reaches them is a window's last
	LineBytes   int   // longest line

	Resume bool   // go on where an earlier run ended
	Run    string // what else answers depend on, such as the model: an earlier run must have had the same

	Tell      func(Counts) // told of the progress every TellEvery and at the end of each file; nil: nobody is
	TellEvery time.Duration
}

// Counts is how far a run is.
type Counts struct {
	Lines  int64         // answered in this run
	Items  int64         // scored in it
	Failed int64         // lines without scores, those of an earlier run too
	Share  float64       // of the input that is done, 0 to 1; below 0 if it is not known
	Before float64       // of the input that was done when this run began
	Took   time.Duration // since the run began
	File   string        // in hand
	Done   bool          // the file is done
}

// Left is the time that the rest takes at the rate so far; 0 if there is no telling.
func (c Counts) Left() time.Duration {
	if c.Share <= c.Before || c.Share < 0 {
		return 0
	}
	return time.Duration(float64(c.Took) * (1 - c.Share) / (c.Share - c.Before))
}

// Summary is what became of a run.
type Summary struct {
	Files, Skipped int // Skipped of the Files were done by an earlier run
	Lines, Failed  int64
	Last           Counts // when the run ended
}

// Run scores every job's input, one file after the other. Lines without scores are no error: Summary counts them. After an
// error what has been scored is kept beside the output, and Options.Resume goes on from there.
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

// record is a line or row: a body, or what is wrong with it.
type record struct {
	n      int64  // among the file's records, from 0
	line   int64  // in the file, from 1
	id     string // custom_id
	method string
	path   string
	body   []byte
	fault  *fault
	query  []byte  // what its items share, as the body has it
	items  int     // at least 1
	place  float64 // share of the file that ends with it; NaN if that is not known
	share  float64 // of the file, from the record before it
	sum    uint64  // of all that its answer depends on
}

// fault is what is wrong with a line: nothing has been sent.
type fault struct {
	field, message string
}

func (f *fault) Error() string { return f.message }

func faultOf(field, format string, values ...any) *fault {
	return &fault{field: field, message: fmt.Sprintf(format, values...)}
}

// requestID names the record's request, the same in every run.
func (r *record) requestID() string { return fmt.Sprintf("batch_req_%d", r.n+1) }

// seal sets what follows from the record's fields.
func (r *record) seal() {
	h := fnv.New64a()
	for _, part := range [][]byte{[]byte(r.id), []byte(r.path), r.body} {
		_, _ = h.Write(part) // a hash takes everything
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

// shared finds what a body's items share, by the names that the dialects give it, and how many items there are.
func shared(body []byte) (query []byte, items int) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil, 1 // the answer will say so
	}
	for _, name := range []string{"query", "queries", "text_1", "data_1"} {
		if v, ok := fields[name]; ok {
			query = v
			break
		}
	}
	items = 1
	for _, name := range []string{"items", "documents", "texts", "passages", "text_2", "data_2", "instances"} {
		var list []json.RawMessage
		if v, ok := fields[name]; ok && json.Unmarshal(v, &list) == nil {
			items = max(items, len(list))
		}
	}
	return query, items
}
