package batch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// source is an input. Read returns its decompressed bytes.
type source struct {
	io.Reader
	file   *os.File     // nil: stdin
	size   int64        // bytes of the file; 0 if not known
	taken  atomic.Int64 // bytes of the file that have been read
	packed string       // compression: "gzip", "zstd" or ""
	finish func()       // ends decompression; nil: nothing to end
}

// extension splits a path's extensions into the format, such as ".jsonl", and the
// compression: ".gz", ".zst" or "". Both are in lower case, and compressions have one
// name each.
func extension(path string) (format, packing string) {
	path = strings.ToLower(path)
	switch packing = filepath.Ext(path); packing {
	case ".gz", ".zst":
		return filepath.Ext(strings.TrimSuffix(path, packing)), packing
	case ".gzip", ".zstd":
		return filepath.Ext(strings.TrimSuffix(path, packing)),
			map[string]string{".gzip": ".gz", ".zstd": ".zst"}[packing]
	}
	return packing, ""
}

// openSource opens a file, or stdin for "-", and decompresses it if its name says so.
//
// A zstd file says how much memory its decoding needs. 1 GiB is far above what the zstd
// tool chooses by itself (8 MiB at level 19, 128 MiB at --ultra 22), and keeps a hostile
// file from taking more. The caller must call close.
func openSource(path string, stdin io.Reader) (*source, error) {
	s := &source{}
	raw := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("input cannot be opened: %w", err)
		}
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			s.size = info.Size()
		}
		s.file, raw = file, file
	}
	counted := &countingReader{r: raw, n: &s.taken}
	s.Reader = counted
	_, packing := extension(path)
	var err error
	switch packing {
	case ".gz":
		var z *gzip.Reader
		if z, err = gzip.NewReader(bufio.NewReader(counted)); err == nil {
			s.Reader, s.packed = z, "gzip"
		}
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(counted, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(1<<30)); err == nil {
			s.Reader, s.packed, s.finish = z, "zstd", z.Close
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("input %s is not what its name says: %w; rename it, or "+
			"fetch it again", path, err), s.close())
	}
	return s, nil
}

// place returns the share of the file that has been read; NaN if its size is not known.
// Reading is somewhat ahead of decompression, so it is for a progress line alone.
func (s *source) place() float64 {
	if s.size == 0 {
		return math.NaN()
	}
	return min(1, float64(s.taken.Load())/float64(s.size))
}

// explain adds the probable cause to a read error of compressed data.
func (s *source) explain(err error) error {
	if s.packed != "" && (errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, os.ErrClosed)) {
		return fmt.Errorf("%s data are cut short or damaged: %w; fetch the file again, and go on "+
			"with --resume", s.packed, err)
	}
	return err
}

// close ends decompression and closes the file. It leaves stdin open.
func (s *source) close() error {
	if s.finish != nil {
		s.finish()
	}
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// countingReader counts the bytes that it reads.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
