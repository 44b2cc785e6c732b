package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// journal is a file of JSON lines beside an output that is not whole: how much of the output is certain, and the results
// since. Results are appended as they come, in any order. What comes is written before it counts, so that whatever stands
// in the file is true, however the process ends; a last line that is cut short does not count.
type journal struct {
	path string
	run  string
	file *os.File
	w    *bufio.Writer
}

// state is how much of an output is certain: what is behind it is written again from the results.
type state struct {
	Records int64  `json:"records"`
	Failed  int64  `json:"failed"`
	Bytes   int64  `json:"bytes"`
	Chain   uint64 `json:"chain,string"` // of the records' sums: see link
}

// entry is a result.
type entry struct {
	N      int64  `json:"n"`
	Sum    uint64 `json:"sum,string"`
	Failed bool   `json:"failed,omitempty"`
	Text   string `json:"text"`
}

func entryOf(r *result) entry {
	return entry{N: r.n, Sum: r.sum, Failed: r.failed, Text: string(r.text)}
}

// heading is a journal's first line.
type heading struct {
	Version int    `json:"batch"`
	Run     string `json:"run"` // what answers depend on beside the input
	State   state  `json:"state"`
}

const journalVersion = 1

// openJournal reads a journal, or begins one, and goes on with it.
func openJournal(path, run string) (j *journal, at state, done map[int64]*entry, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, at, nil, fmt.Errorf("journal cannot be read: %w", err)
	}
	if at, done, err = parseJournal(path, run, data); err != nil {
		return nil, at, nil, err
	}
	j = &journal{path: path, run: run}
	results := make(map[int64]*result, len(done))
	for n, e := range done {
		results[n] = &result{record: &record{n: n, sum: e.Sum}, text: []byte(e.Text), failed: e.Failed}
	}
	if err := j.replace(at, results); err != nil {
		return nil, at, nil, fmt.Errorf("journal cannot be written: %w", err)
	}
	return j, at, done, nil
}

// parseJournal takes whole lines only.
func parseJournal(path, run string, data []byte) (at state, done map[int64]*entry, err error) {
	done = map[int64]*entry{}
	first, rest, whole := bytes.Cut(data, []byte{'\n'})
	if !whole {
		return at, done, nil // nothing has been kept yet
	}
	var h heading
	if json.Unmarshal(first, &h) != nil || h.Version != journalVersion {
		return at, done, fmt.Errorf("journal %s is none of this version; remove it and the .part beside it to begin again", path)
	}
	if h.Run != run {
		return at, done, fmt.Errorf("journal %s is of a run with other flags (%s; now %s); give the same, or remove it and the .part beside it to begin again", path, h.Run, run)
	}
	for {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			return h.State, done, nil
		}
		rest = after
		e := &entry{}
		if json.Unmarshal(line, e) != nil {
			return h.State, done, nil // what is behind a damaged line is scored again
		}
		if e.N >= h.State.Records {
			done[e.N] = e
		}
	}
}

// add appends a result. It is certain after flush.
func (j *journal) add(e entry) error { return encode(j.w, e) }

func encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (j *journal) flush() error { return j.w.Flush() }

func (j *journal) close() error { return j.file.Close() }

// replace begins the journal anew, all at once.
func (j *journal) replace(at state, waiting map[int64]*result) (err error) {
	file, err := os.Create(j.path + ".new")
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<16)
	err = encode(w, heading{Version: journalVersion, Run: j.run, State: at})
	for _, r := range waiting {
		if err == nil {
			err = encode(w, entryOf(r))
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), j.path)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.w = file, w
	return err
}
