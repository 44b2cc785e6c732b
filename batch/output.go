package batch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// output is a file that gets its name when it is complete. Until then it is NAME.part,
// which grows in the order of the records; results ahead of it are in NAME.journal.
type output struct {
	path    string
	at      state            // what an earlier run has written
	done    map[int64]*entry // results after at, by record; never changed
	part    *os.File
	buffer  *bufio.Writer
	packer  packer // nil: no compression
	packing bool   // the packer has an open block
	journal *journal
}

// packer compresses. A file may hold several blocks, each closed, one after the other.
// They decompress to the concatenation of their contents.
type packer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// The files beside an output that is not complete.
func (o *output) partPath() string    { return o.path + ".part" }
func (o *output) journalPath() string { return o.path + ".journal" }

// stdio reports whether the output is stdout. Such an output is written in order and
// cannot be resumed.
func (o *output) stdio() bool { return o.path == "-" }

// openOutput creates an output, or opens one to resume it. finish or suspend must end it.
func openOutput(path string, options Options) (*output, error) {
	o := &output{path: path}
	if o.stdio() {
		o.part = os.Stdout
		o.buffer = newBuffer(o.part)
		return o, o.begin(options)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("output's folder cannot be made: %w", err)
	}
	if err := o.openPart(options.Resume); err != nil {
		return nil, err
	}
	err := o.resume(options)
	if err != nil {
		return nil, errors.Join(err, o.part.Close())
	}
	return o, nil
}

// openPart opens NAME.part and locks it against other processes until it is closed. What
// is left of an earlier run is only overwritten where it is to be resumed.
func (o *output) openPart(resume bool) (err error) {
	if !resume {
		for _, left := range []string{o.partPath(), o.journalPath()} {
			if _, err := os.Stat(left); err == nil {
				return fmt.Errorf("output %s is left of a run that did not end; go on with "+
					"--resume, or remove it and %s", left, o.journalPath())
			}
		}
	}
	if o.part, err = os.OpenFile(o.partPath(), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return fmt.Errorf("output cannot be written: %w", err)
	}
	// On file systems without locks the call fails with another error, and nothing is
	// locked.
	if unix.Flock(int(o.part.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return errors.Join(fmt.Errorf("output %s is being written by another process; wait until "+
			"it ends", o.partPath()), o.part.Close())
	}
	return nil
}

// resume resumes from the journal, or begins if there is none.
func (o *output) resume(options Options) (err error) {
	if o.journal, o.at, o.done, err = openJournal(o.journalPath(), options.Run); err != nil {
		return err
	}
	if err = o.part.Truncate(o.at.Bytes); err == nil {
		_, err = o.part.Seek(o.at.Bytes, io.SeekStart)
	}
	if err != nil {
		return o.explain(err)
	}
	o.buffer = newBuffer(o.part)
	return o.begin(options)
}

// newBuffer returns a buffer of as much as is worth a system call.
func newBuffer(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 1<<18) }

// begin starts compression and writes the head of a new output.
func (o *output) begin(options Options) error {
	switch _, packing := extension(o.path); packing {
	case ".gz":
		o.packer = gzip.NewWriter(o.buffer)
	case ".zst":
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return err
		}
		o.packer = z
	}
	if o.at.Bytes > 0 {
		return nil
	}
	return o.write(options.Format.head())
}

// write appends a record's line, or the head. It may stay in memory until flushPart.
func (o *output) write(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	var to io.Writer = o.buffer
	if o.packer != nil {
		if !o.packing {
			o.packer.Reset(o.buffer)
			o.packing = true
		}
		to = o.packer
	}
	_, err := to.Write(line)
	return o.explain(err)
}

// keep puts a result into the journal, if there is one. stdout has none.
func (o *output) keep(r *result) error {
	if o.journal == nil {
		return nil
	}
	return o.explain(o.journal.add(entryOf(r)))
}

// flush passes results in memory to the operating system: by the journal, which holds all
// that the part does not, or to stdout.
func (o *output) flush() error {
	if o.journal == nil {
		return o.explain(o.flushPart())
	}
	return o.explain(o.journal.flush())
}

// flushPart ends the packer's block and flushes the buffer. Each block costs some bytes,
// so it is done at the end of a window, and not for each line.
func (o *output) flushPart() error {
	if o.packing {
		o.packing = false
		if err := o.packer.Close(); err != nil {
			return err
		}
	}
	return o.buffer.Flush()
}

// commit makes what has been written durable, and reduces the journal to waiting, the
// results ahead of the output.
func (o *output) commit(at state, waiting map[int64]*result) error {
	err := o.flushPart()
	if err != nil || o.journal == nil {
		return o.explain(err)
	}
	if err = o.part.Sync(); err == nil {
		at.Bytes, err = o.part.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		err = o.journal.replace(at, waiting)
	}
	return o.explain(err)
}

// finish completes the output and gives it its name. The journal goes last: without it
// and the part, the output counts as finished.
func (o *output) finish() error {
	err := o.flushPart()
	if o.journal == nil {
		return o.explain(err)
	}
	if err == nil {
		err = o.packNothing()
	}
	if err == nil {
		err = o.part.Sync()
	}
	if err = errors.Join(err, o.part.Close(), o.journal.close()); err != nil {
		return o.explain(err)
	}
	if err := os.Rename(o.partPath(), o.path); err != nil {
		return o.explain(err)
	}
	return os.Remove(o.journalPath())
}

// packNothing makes an output without lines a valid compressed file.
func (o *output) packNothing() error {
	size, err := o.part.Seek(0, io.SeekCurrent)
	if err != nil || size > 0 || o.packer == nil {
		return err
	}
	o.packer.Reset(o.buffer)
	o.packing = true
	return o.flushPart()
}

// suspend closes an output that is to be resumed. What the part lacks is in the journal.
func (o *output) suspend() error {
	if o.journal == nil {
		return o.flush()
	}
	return errors.Join(o.journal.flush(), o.journal.close(), o.part.Close())
}

// explain adds the output's name, and the remedy, to an error.
func (o *output) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG):
		return fmt.Errorf("output %s cannot be written: %w; make room, and go on with --resume",
			o.path, err)
	}
	return fmt.Errorf("output %s cannot be written: %w", o.path, err)
}
