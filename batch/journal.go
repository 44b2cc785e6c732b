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

// journal is a file of JSON lines beside an unfinished output. It says how much of the
// output is on disk, and holds the results that are not, in the order in which they
// came.
//
// A result is appended before it counts. So everything in the file is valid, however
// the process ends; only a last line that is incomplete is ignored.
type journal struct {
	path string
	run  string
	file *os.File
	w    *bufio.Writer
}

// state is the part of an output that is on disk. The rest is written again from the
// journal's results.
type state struct {
	Records int64  `json:"records"`
	Failed  int64  `json:"failed"` // of the records, those without scores
	Bytes   int64  `json:"bytes"`
	Chain   uint64 `json:"chain,string"` // hash of the records, see link
}

// entry is a result in the journal.
type entry struct {
	N      int64  `json:"n"`
	Sum    uint64 `json:"sum,string"`
	Failed bool   `json:"failed,omitempty"`
	Text   string `json:"text"`
}

// entryOf returns the result as an entry.
func entryOf(r *result) entry {
	return entry{N: r.n, Sum: r.sum, Failed: r.failed, Text: string(r.text)}
}

// heading is the first line of a journal.
type heading struct {
	Version int    `json:"batch"`
	Run     string `json:"run"` // Options.Run
	State   state  `json:"state"`
}

// journalVersion changes with the form of the journal, or with what a record's sum is of.
const journalVersion = 1

// openJournal reads a journal, or makes one, and opens it to append. run must be the
// one that the journal was made with. done has the results by record.
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

// parseJournal reads a journal's state and the results after it, by record. Of a file
// that a kill has cut short, complete lines count. Results of records before the state
// are in the output already.
func parseJournal(path, run string, data []byte) (at state, done map[int64]*entry, err error) {
	done = map[int64]*entry{}
	first, rest, whole := bytes.Cut(data, []byte{'\n'})
	if !whole {
		return at, done, nil // the earlier run recorded nothing
	}
	var h heading
	if json.Unmarshal(first, &h) != nil || h.Version != journalVersion {
		return at, done, fmt.Errorf("journal %s is none of this version; remove it and the .part "+
			"beside it to begin again", path)
	}
	if h.Run != run {
		return at, done, fmt.Errorf("journal %s is of a run with other flags (%s; now %s); give "+
			"the same, or remove it and the .part beside it to begin again", path, h.Run, run)
	}
	for {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			return h.State, done, nil
		}
		rest = after
		e := &entry{}
		if json.Unmarshal(line, e) != nil {
			return h.State, done, nil // records after a damaged line are scored again
		}
		if e.N >= h.State.Records {
			done[e.N] = e
		}
	}
}

// add appends a result. It is in the file only after flush.
func (j *journal) add(e entry) error { return encode(j.w, e) }

// encode writes a value as one line of JSON, without the escapes for HTML.
func encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// flush passes what was added to the operating system: it outlives the process, though
// not the machine.
func (j *journal) flush() error { return j.w.Flush() }

// close closes the file. What was added since the last flush is lost.
func (j *journal) close() error { return j.file.Close() }

// replace atomically replaces the journal by a new one, with this state and the results
// that wait. The new file is complete and on disk before it gets the name: whenever the
// process or the machine ends, there is one of the two. After an error the old one stays.
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
